"""The version of each rule in force: the newest if it is good, else the last good one.

Pure: the input is FraudRules from the API, the output the state of each rule and the
document for the detectors. The last good versions are stored in that document,
so an operator that restarts reads them from there.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from services.rules import CompiledRule, Compiler, Problem, RuleError, read_object
from services.rules.manifests import LIST_KIND
from services.rules.model import API_VERSION, FraudRule
from services.rules.ruleset import content_hash, rule_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

# A ConfigMap has room for 1 MiB of data; the rest is for its own fields.
MAX_DOCUMENT_BYTES = 1_000_000
_TOO_LARGE = "RulesetTooLarge"
# Fields that are named in problems between several fields of a rule.
_FITS_TOGETHER = re.compile(
    r"spec\.(score|reasonCode|aggregates\[\d+\]\.(name|window|of)"
    r"|examples(\[\d+\]\.(name|given(\[\d+\]\.every)?))?)"
)
_GROUPING = re.compile(r"spec\.aggregates\[\d+\]\.groupBy")
_EXPRESSION = re.compile(r"spec\.(expression|aggregates\[\d+\]\.where)")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one FraudRule.

    `generation` is the object's. `rule` is the version in force, None if there never was a good
    one. `problems` are the reasons why it is not the newest; `reason` is that of the condition.
    """

    name: str
    generation: int
    rule: FraudRule | None
    reason: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


class Rulebook:
    """Holds the last good version of every rule.

    Args:
        compiler: Compiler for the schema of the transactions.
        threshold: Score threshold of the detectors; part of the ruleset's hash.
        limit: Largest size of the document, in bytes.

    """

    def __init__(self, compiler: Compiler, threshold: int, limit: int = MAX_DOCUMENT_BYTES) -> None:
        self._compiler = compiler
        self._threshold = threshold
        self._limit = limit
        self._good: dict[str, FraudRule] = {}
        self._checked: dict[str, tuple[bytes, CompiledRule | tuple[Problem, ...]]] = {}

    @property
    def hash(self) -> str:
        """Hash of the ruleset, equal to that of a detector with the same ruleset."""
        return content_hash(self._good.values(), self._compiler.schema, self._threshold)

    @property
    def rule_hashes(self) -> dict[str, str]:
        """Hash of each version in force, by the name of its rule."""
        return {name: rule_hash(rule) for name, rule in self._good.items()}

    def restore(self, document: str) -> None:
        """Load the last good versions from a document of an earlier operator.

        A document that was edited, by accident or halfway, is not trusted; nor is a rule
        that is invalid under the current schema.
        """
        try:
            read = msgspec.json.decode(document, type=_Document)
            rules = [read_object(item, "ruleset.json").rule for item in read.items]
        except (ValueError, RecursionError):
            return
        known = {rule.name: rule for rule in rules if rule is not None}
        if len(known) == len(rules) and read.metadata.checksum == _checksum(read.items):
            self._good = {name: rule for name, rule in known.items() if self._compiles(rule)}

    def _compiles(self, rule: FraudRule) -> bool:
        try:
            self._compiler.compile(rule)
        except RuleError:
            return False
        return True

    def update(self, objects: Iterable[dict[str, Any]]) -> list[Standing]:
        """Replace the FraudRules by the current ones; rules that are not among them are removed."""
        standings = [self._judge_alone(value) for value in objects]
        names = {standing.name for standing in standings}
        self._checked = {name: c for name, c in self._checked.items() if name in names}
        standings = self._fit(standings)
        self._good = {s.name: _bare(s.rule) for s in standings if s.rule is not None}
        return standings

    def document(self) -> str:
        """Render the rules in force as a JSON list of FraudRules, which detectors read."""
        items = [_item(rule) for _, rule in sorted(self._good.items())]
        document = _Document(
            api_version=API_VERSION,
            kind=LIST_KIND,
            metadata=_Metadata(hash=self.hash, checksum=_checksum(items)),
            items=items,
        )
        return msgspec.json.encode(document).decode()

    def _judge_alone(self, value: dict[str, Any]) -> Standing:
        """Check a rule in such a way that an error in it never affects the others."""
        try:
            return self._judge(value)
        except Exception as error:  # noqa: BLE001 - one rule must not stop all
            return Standing(
                name=value["metadata"]["name"],
                generation=value["metadata"]["generation"],
                rule=self._good.get(value["metadata"]["name"]),
                reason="InvalidSpec",
                problems=(Problem(field="spec", message=f"cannot be judged: {error!r}"),),
            )

    def _judge(self, value: dict[str, Any]) -> Standing:
        manifest = read_object(value, "fraudrule")
        rule, problems = manifest.rule, manifest.problems
        warnings: tuple[str, ...] = ()
        if rule is not None:
            checked = self._check(rule)
            if isinstance(checked, tuple):
                problems = checked
            else:
                warnings = checked.warnings
        return Standing(
            name=value["metadata"]["name"],
            generation=value["metadata"]["generation"],
            rule=self._good.get(value["metadata"]["name"]) if problems else rule,
            reason=reason_of(problems, rule),
            problems=problems,
            warnings=warnings,
        )

    def _check(self, rule: FraudRule) -> CompiledRule | tuple[Problem, ...]:
        """Compile a rule, unless the same rule was compiled before."""
        text = msgspec.json.encode(rule)
        before = self._checked.get(rule.name)
        if before is not None and before[0] == text:
            return before[1]
        checked: CompiledRule | tuple[Problem, ...]
        try:
            checked = self._compiler.compile(rule)
        except RuleError as error:
            checked = error.problems
        self._checked[rule.name] = text, checked
        return checked

    def _fit(self, standings: list[Standing]) -> list[Standing]:
        """Reject changes that would make the document too large.

        Versions in force stay. Then changes are accepted as long as there is room: first
        those that shrink the document, then the others, the smallest growth first.
        """
        wanted = {s.name: size(s.rule) for s in standings if s.rule is not None}
        if sum(wanted.values()) <= self._limit:
            return standings
        held = {name: size(rule) for name, rule in self._good.items() if name in wanted}
        total = sum(held.values())
        rejected = set()
        for grows, name in sorted((n - held.get(name, 0), name) for name, n in wanted.items()):
            if grows > 0 and total + grows > self._limit:
                rejected.add(name)
            else:
                total += grows
        return [self._reject(s) if s.name in rejected else s for s in standings]

    def _reject(self, standing: Standing) -> Standing:
        assert standing.rule is not None  # noqa: S101 - it was found to be too large
        return msgspec.structs.replace(
            standing,
            rule=self._good.get(standing.name),
            reason=_TOO_LARGE,
            problems=(_too_large(size(standing.rule), self._limit),),
        )


class _Metadata(msgspec.Struct):
    hash: str
    checksum: str


class _Document(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: _Metadata
    items: list[dict[str, Any]]


def reason_of(problems: tuple[Problem, ...], rule: FraudRule | None) -> str:
    """Return the reason of the condition Ready, one word for machines."""
    if not problems:
        assert rule is not None  # noqa: S101 - without a rule there is a problem
        return "Disabled" if rule.spec.mode == "Disabled" else "Accepted"
    fields = {problem.field for problem in problems}
    if any(map(_FITS_TOGETHER.fullmatch, fields)):
        return "InvalidSpec"
    if rule is not None and any(map(_GROUPING.fullmatch, fields)):
        return "UndeclaredGrouping"
    if any(map(_EXPRESSION.fullmatch, fields)):
        return "InvalidExpression"
    return "ExampleFailed" if rule is not None else "InvalidSpec"


def size(rule: FraudRule) -> int:
    """Return the size of a rule in the document, with its comma, in bytes."""
    return len(msgspec.json.encode(_item(_bare(rule)))) + 1


def _bare(rule: FraudRule) -> FraudRule:
    """Remove the examples: the rule has passed them, and detectors do not need them."""
    return msgspec.structs.replace(rule, spec=msgspec.structs.replace(rule.spec, examples=()))


def _item(rule: FraudRule) -> dict[str, Any]:
    item: dict[str, Any] = msgspec.to_builtins(rule)
    item["spec"] = {name: value for name, value in item["spec"].items() if value not in ("", ())}
    item["spec"].pop("examples", None)
    return item


def _checksum(items: list[dict[str, Any]]) -> str:
    """Hash the text of rules alone, so an operator whose model has more fields accepts it too."""
    return hashlib.sha256(msgspec.json.encode(items)).hexdigest()[:16]


def _too_large(found: int, limit: int) -> Problem:
    return Problem(
        field="",
        message=f"this version takes {found} bytes, and there is no room for it: "
        f"all rules together may take {limit}",
        hint="shorten or remove rules; examples do not count",
    )
