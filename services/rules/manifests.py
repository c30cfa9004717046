"""FraudRules from files: find the files, read the documents, report their problems."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from services.documents import MAX_FILE_BYTES, ContentError, Document, DocumentError, read_documents
from services.rules.hints import near
from services.rules.misfits import misfit, no_text, shape
from services.rules.model import (
    API_VERSION,
    KIND,
    Aggregate,
    Example,
    FraudRule,
    Given,
    Metadata,
    Spec,
)
from services.rules.problems import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIST_KIND = "FraudRuleList"
_GROUP = API_VERSION.partition("/")[0]
# What other systems call an expression.
_EXPRESSIONS = dict.fromkeys(("condition", "filter", "when"), "expression")
# How a document of the operator begins.
_PUBLISHED = f'{{"apiVersion":"{API_VERSION}","kind":"{LIST_KIND}"'

SUFFIXES = {".yaml", ".yml", ".json"}

# msgspec analyses a type when it is first used, and crashes if two threads do so at the same time
# (seen with 0.22.0). So the types are used here, before there are threads.
msgspec.json.Decoder(FraudRule)

_AT_PATH = re.compile(r" - at `(\$[^`]*)`$")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_OBJECT_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
# Fields of metav1.ObjectMeta.
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
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `([^`]*)`")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One document of a file: a rule, or the problems that keep it from being one.

    `name` is the rule's, or "" if the document has none. `expression_line` is the line in the
    file where the expression's text begins, and `lines` the line of every path below the
    document.
    """

    place: Place
    name: str
    rule: FraudRule | None
    problems: tuple[Problem, ...] = ()
    lines: dict[str, int] = {}
    expression_line: int = 0


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """List the files of some paths: files themselves, and the YAML files in folders.

    Hidden files and folders are ignored; in a mounted ConfigMap they hold the
    versions that its visible links point to.

    Raises:
        FileNotFoundError: A path does not exist.

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


def read_manifests(file: Path, *, named: bool = False) -> list[Manifest]:
    """Read every rule of a file. Problems are returned, never raised.

    For a file that ends in the middle of a document, the result has the rules before that and
    one manifest without a name, which has the problem.

    Args:
        file: Path of the file.
        named: True if the user named the file itself. In a file that was found in a
            folder, documents of other kinds are ignored.

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
            if named or not _is_other(document.value):
                manifests += _manifests(file, document)
    except DocumentError as error:
        if named or not isinstance(error, ContentError) or KIND in text or _GROUP in text:
            manifests.append(_broken(file, error.line, f"not YAML: {error}"))
    return manifests


def _is_other(value: Any) -> bool:  # noqa: ANN401 - any YAML value
    """True if a document is of another kind: a kustomization, a ConfigMap, a schema."""
    if isinstance(value, list):
        return True
    if not isinstance(value, dict):
        return False
    kind, spec = value.get("kind"), value.get("spec")
    ours = str(value.get("apiVersion", "")).startswith(_GROUP)
    if ours or (isinstance(spec, dict) and "expression" in spec):
        return False
    if kind is None:
        return "apiVersion" in value or not {"metadata", "spec"} & set(value)
    if str(kind).endswith("List") and isinstance(value.get("items"), list):
        items = value["items"]
        return bool(items) and all(_is_other(item) for item in items)
    return isinstance(kind, str) and not near(kind.lower(), [KIND.lower(), LIST_KIND.lower()])


def _published(file: Path, text: str) -> list[Manifest]:
    """Read the operator's file: JSON of rules that it has checked, so lines are not needed.

    YAML would take a hundred times longer, and does not accept every character
    that JSON does.
    """
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        return [_broken(file, 1, f"not JSON: {error}")]
    return list(_manifests(file, Document(value, {}, frozenset())))


def read_object(value: Any, place: str) -> Manifest:  # noqa: ANN401 - any JSON value
    """Read a rule from an object of the Kubernetes API.

    Args:
        value: Object as decoded from JSON.
        place: Name for its origin, in messages.

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
    """Remove the fields of spec that are null: the API server treats them as missing."""
    if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
        return value
    return {**value, "spec": _filled(value["spec"], "spec")}


def _filled(value: Any, path: str) -> Any:  # noqa: ANN401 - any YAML value
    """Remove nulls from the model's own objects; a transaction keeps them."""
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
    """Express a msgspec error in terms of the resource."""
    if not isinstance(value, dict) or value.get("kind") != KIND:
        found = value.get("kind") if isinstance(value, dict) else type(value).__name__
        return Problem(
            field="kind", message=f"found {found!r}, expected {KIND}", hint=f"write kind: {KIND}"
        )
    if value.get("apiVersion") != API_VERSION:
        found = value.get("apiVersion")
        return Problem(
            field="apiVersion",
            message=f"found {found!r}, expected {API_VERSION}",
            hint=f"write apiVersion: {API_VERSION}",
        )
    at = _AT_PATH.search(error)
    path = at[1].removeprefix("$").removeprefix(".") if at else ""
    message = _AT_PATH.sub("", error)
    if match := _UNKNOWN_FIELD.match(message):
        return _unknown_field(path, match[1])
    if match := _MISSING_FIELD.match(message):
        field = f"{path}.{match[1]}" if path else match[1]
        return Problem(field=field, message="is missing", hint=f"add {match[1]}")
    return misfit(path, message, _value_at(value, path))


def _value_at(value: Any, path: str) -> Any:  # noqa: ANN401 - any YAML value
    for name, index in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _unknown_field(path: str, name: str) -> Problem:
    known = [field.encode_name for field in msgspec.structs.fields(_STRUCTS[shape(path)])]
    meant = _EXPRESSIONS.get(name) if path == "spec" else None
    meant = meant or near(name, known)
    return Problem(
        field=f"{path}.{name}",
        message=f"there is no field `{name}`",
        hint=f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}",
    )


def _stray_field(value: dict[str, Any]) -> Problem | None:
    """Find a field that no Kubernetes object has; the types above ignore the cluster's own."""
    for path, inner, known in (
        ("", value, _OBJECT_FIELDS),
        ("metadata.", value["metadata"], _METADATA_FIELDS),
    ):
        for name in inner:
            if name not in known:
                meant = near(name, known)
                hint = f"did you mean `{meant}`?" if meant else f"known are {', '.join(known)}"
                return Problem(field=path + name, message=f"there is no field `{name}`", hint=hint)
    return no_text(value["metadata"])
