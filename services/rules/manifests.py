"""FraudRules from files: which files, which documents, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from services.documents import MAX_FILE_BYTES, Document, DocumentError, read_documents
from services.rules.mends import near
from services.rules.model import (
    API_VERSION,
    KIND,
    Action,
    Aggregate,
    Example,
    FraudRule,
    Function,
    Given,
    Metadata,
    Mode,
    Severity,
    Spec,
)
from services.rules.problems import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIST_KIND = "FraudRuleList"
# How a document of the operator begins.
_PUBLISHED = f'{{"apiVersion":"{API_VERSION}","kind":"{LIST_KIND}"'

SUFFIXES = {".yaml", ".yml", ".json"}

# msgspec looks at a type when it is first asked to read it, and crashes where two threads ask at
# once (seen with 0.22.0). So ask here, before there are any.
msgspec.json.Decoder(FraudRule)

_AT_PATH = re.compile(r" - at `(\$[^`]*)`$")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MAX_SHOWN = 60
_OBJECT_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
# Of metav1.ObjectMeta.
_METADATA_FIELDS = (
    *("name", "namespace", "labels", "annotations", "generation", "generateName", "uid"),
    *("resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
    *("ownerReferences", "finalizers", "managedFields", "selfLink"),
)
_STRUCTS: dict[str, type[msgspec.Struct]] = {
    "metadata": Metadata,
    "spec": Spec,
    "spec.aggregates[]": Aggregate,
    "spec.examples[]": Example,
    "spec.examples[].given[]": Given,
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "spec.mode": get_args(Mode),
    "spec.action": get_args(Action),
    "spec.severity": get_args(Severity),
    "spec.aggregates[].function": get_args(Function),
    "spec.examples[].expect": ("Match", "NoMatch"),
}
_DURATIONS = {"spec.aggregates[].window", "spec.examples[].given[].every"}
_MAX_DIGITS = 4
# How people write durations elsewhere: a number, and the unit in their own words, or none.
_AMOUNT = re.compile(r"\s*(\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
}
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `([^`]*)`")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One document of a file: a rule, or the problems that keep it from being one.

    `name` is the rule's, or "" where the document does not tell it.
    `expression_line` is the line in the file where the expression's text begins, and `lines` the
    line of every path below the document.
    """

    place: Place
    name: str
    rule: FraudRule | None
    problems: tuple[Problem, ...] = ()
    lines: dict[str, int] = {}
    expression_line: int = 0


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """List the files that the paths name: themselves, and what YAML a folder holds.

    Hidden files and folders are left out; in a mounted ConfigMap they hold the
    versions that its visible links point to.

    Raises:
        FileNotFoundError: a path does not exist.

    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        if path.is_dir():
            files += sorted(
                f
                for f in path.rglob("*")
                if f.suffix in SUFFIXES
                and not any(part.startswith(".") for part in f.relative_to(path).parts)
            )
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def read_manifests(file: Path) -> list[Manifest]:
    """Read every rule of a file. A problem is a result here, never an exception.

    A file that breaks off in the middle gives the rules before the break and
    one nameless manifest with the problem.
    """
    try:
        text = _read_text(file)
    except (OSError, ValueError) as error:
        return [_broken(file, 1, f"the file cannot be read: {error}")]
    manifests: list[Manifest] = []
    if text.startswith(_PUBLISHED):
        return _published(file, text)
    try:
        for document in read_documents(text):
            manifests += _manifests(file, document)
    except DocumentError as error:
        manifests.append(_broken(file, error.line, f"not YAML: {error}"))
    return manifests


def _published(file: Path, text: str) -> list[Manifest]:
    """Read what the operator wrote: JSON of rules that it has checked, where no one needs lines.

    As YAML it would take a hundred times longer, and YAML does not take every
    character that JSON does.
    """
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        return [_broken(file, 1, f"not JSON: {error}")]
    return list(_manifests(file, Document(value, {}, frozenset())))


def read_object(value: Any, place: str) -> Manifest:  # noqa: ANN401 - any JSON value
    """Read a rule that came as an object, from the API of a cluster.

    Args:
        value: the object.
        place: what to call where it came from.

    """
    return _manifest(Path(place), Document(value, {}, frozenset()), value, "$")


def _read_text(file: Path) -> str:
    if (size := file.stat().st_size) > MAX_FILE_BYTES:
        raise ValueError(f"{size} bytes, and {MAX_FILE_BYTES} is the most")
    return file.read_text(encoding="utf-8")


def _broken(file: Path, line: int, message: str) -> Manifest:
    problem = Problem(field="", message=message)
    return Manifest(place=Place(str(file), line), name="", rule=None, problems=(problem,))


def _manifests(file: Path, document: Document) -> Iterator[Manifest]:
    """Read a document: one rule, or a list of them as `kubectl get -o yaml` writes it."""
    value = document.value
    if isinstance(value, dict) and str(value.get("kind")).endswith("List"):
        items = value.get("items")
        if not isinstance(items, list):
            line = document.line("$.items")
            yield _broken(file, line, "a List has its rules in a list called `items`")
            return
        for i, item in enumerate(items):
            yield _manifest(file, document, item, f"$.items[{i}]")
    else:
        yield _manifest(file, document, value, "$")


def _manifest(file: Path, document: Document, value: Any, root: str) -> Manifest:  # noqa: ANN401 - any YAML value
    place = Place(str(file), document.line(root))
    expression = f"{root}.spec.expression"
    first_line = document.line(expression) + (expression in document.blocks)
    lines = {
        path.replace(root, "$", 1): line
        for path, line in document.lines.items()
        if path.startswith(root)
    }
    try:
        rule = msgspec.convert(_without_nulls(value), FraudRule)
        problem = _stray_field(value)
    except msgspec.ValidationError as error:
        problem = _problem(str(error), value)
    if problem is not None:
        return Manifest(
            place=place, name=_name_of(value), rule=None, problems=(problem,), lines=lines
        )
    return Manifest(place=place, name=rule.name, rule=rule, lines=lines, expression_line=first_line)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Leave out the fields of spec that are null: to the API server they are not there."""
    if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
        return value
    return {**value, "spec": _filled(value["spec"], "spec")}


def _filled(value: Any, path: str) -> Any:  # noqa: ANN401 - any YAML value
    """Leave nulls out of the model's own objects; a transaction stays as it was written."""
    if isinstance(value, list):
        return [_filled(inner, f"{path}[]") for inner in value]
    if not isinstance(value, dict) or path not in _STRUCTS:
        return value
    return {k: _filled(v, f"{path}.{k}") for k, v in value.items() if v is not None}


def _name_of(value: Any) -> str:  # noqa: ANN401 - any YAML value
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _problem(error: str, value: Any) -> Problem:  # noqa: ANN401 - any YAML value
    """Say a msgspec error in the resource's own terms."""
    if not isinstance(value, dict) or value.get("kind") != KIND:
        found = value.get("kind") if isinstance(value, dict) else type(value).__name__
        return Problem(
            field="kind", message=f"found {found!r}, expected {KIND}", mend=f"write kind: {KIND}"
        )
    if value.get("apiVersion") != API_VERSION:
        found = value.get("apiVersion")
        return Problem(
            field="apiVersion",
            message=f"found {found!r}, expected {API_VERSION}",
            mend=f"write apiVersion: {API_VERSION}",
        )
    at = _AT_PATH.search(error)
    path = at[1].removeprefix("$").removeprefix(".") if at else ""
    message = _AT_PATH.sub("", error)
    if match := _UNKNOWN_FIELD.match(message):
        return _unknown_field(path, match[1])
    if match := _MISSING_FIELD.match(message):
        field = f"{path}.{match[1]}" if path else match[1]
        return Problem(field=field, message="is missing", mend=f"add {match[1]}")
    return _misfit(path, message, _value_at(value, path))


def _misfit(path: str, message: str, found: object) -> Problem:
    """Say what a field takes that has something else."""
    mend = ""
    shape = _shape(path)
    if choices := _CHOICES.get(shape, ()):
        message = f"found {_short(found)}, expected one of {', '.join(choices)}"
        if isinstance(found, str) and (meant := near(found.capitalize(), choices)):
            mend = f"write {meant}"
    elif shape in _DURATIONS and isinstance(found, str | int) and not isinstance(found, bool):
        message, mend = _no_duration(found)
    elif message.startswith("Expected `str`, got"):
        mend = "put the value in quotes" if isinstance(found, int | float) else ""
    elif isinstance(found, str | int | float):
        message = f"found {_short(found)}; {message[0].lower()}{message[1:]}"
    if "matching regex" in message:
        message, mend = _pattern(shape, found, message)
    return Problem(field=path, message=message, mend=mend)


def _value_at(value: Any, path: str) -> Any:  # noqa: ANN401 - any YAML value
    for name, index in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _unknown_field(path: str, name: str) -> Problem:
    known = [field.encode_name for field in msgspec.structs.fields(_STRUCTS[_shape(path)])]
    meant = near(name, known)
    return Problem(
        field=f"{path}.{name}",
        message=f"there is no field `{name}`",
        mend=f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}",
    )


def _shape(path: str) -> str:
    """A path without the numbers of its entries."""
    return re.sub(r"\[\d+\]", "[]", path)


def _stray_field(value: dict[str, Any]) -> Problem | None:
    """Find a field that no Kubernetes object has; the types above pass over the cluster's own."""
    for path, inner, known in (
        ("", value, _OBJECT_FIELDS),
        ("metadata.", value["metadata"], _METADATA_FIELDS),
    ):
        for name in inner:
            if name not in known:
                meant = near(name, known)
                mend = f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}"
                return Problem(field=path + name, message=f"there is no field `{name}`", mend=mend)
    return None


def _pattern(shape: str, found: object, message: str) -> tuple[str, str]:
    if shape == "metadata.name":
        return "is no Kubernetes name", "use lower-case letters, digits, `-` and `.`"
    if shape == "spec.reasonCode":
        return "is no reason code", "use capital letters, digits and `_`, as in CARD_TESTING"
    if shape == "spec.aggregates[].name":
        return (
            f"found {_short(found)}, expected a small letter and then letters, digits and `_`",
            "choose another name, as in payments_1h",
        )
    return message, ""


def _no_duration(found: str | int) -> tuple[str, str]:
    """Say what is wrong with a duration, and how it is written where that can be told."""
    message = f"found {_short(found)}, expected a whole number and s, m or h, as in 90s"
    match = _AMOUNT.fullmatch(str(found))
    unit = _UNITS.get(match[2].lower()) if match else None
    if not match or not unit:
        return message, ""
    amount = match[1].lstrip("0")
    if not amount:
        return message, "1s is the least"
    return message, f"write {amount}{unit}" if len(amount) <= _MAX_DIGITS else ""
