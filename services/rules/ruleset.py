"""All rules in force: their conditions, and from the rules that match to the decision.

Which rules match a transaction is a mask: bit i is set if live rule i matches. The engine
finds it; here it becomes verdict, score and explanation.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from services.rules.aggregates import Plan, plan
from services.rules.conditions import Condition, Conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from services.rules.compilation import CompiledRule
    from services.rules.expressions import Environment
    from services.rules.model import Action, FraudRule, Mode, Severity
    from services.transactions import Schema

DEFAULT_THRESHOLD = 100

Verdict = Literal["legit", "fraud"]


class Match(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A rule that matched, as in the explanation.

    `aggregates` has the value of each aggregate by name, None for one without a value.
    """

    rule: str
    generation: int
    mode: Mode
    action: Action
    score: int
    severity: Severity
    reason_code: str
    description: str
    aggregates: dict[str, float | int | None] = {}


class Decision(msgspec.Struct, frozen=True):
    """The decision about a transaction: the verdict and its reasons.

    `score` is the sum of the enforced flags that matched, even if an Allow
    overrules it.
    """

    verdict: Verdict
    score: int
    matches: tuple[Match, ...]


class Ruleset:
    """The rules in force, named by the hash of their content.

    Args:
        rules: Rules that may go live; disabled ones are included but decide
            nothing.
        environment: Evaluates conditions that are not generated.
        threshold: A transaction with at least this score is fraud.
        on_error: Called with a rule's name and the evaluator's message if a
            rule fails on a transaction; the rule then does not match.
        windows: Existing windows; by default the windows that the rules
            need.

    """

    def __init__(
        self,
        rules: Iterable[CompiledRule],
        environment: Environment,
        threshold: int = DEFAULT_THRESHOLD,
        on_error: Callable[[str, str], None] = lambda _rule, _error: None,
        windows: Plan | None = None,
    ) -> None:
        self.rules = tuple(sorted(rules, key=lambda compiled: compiled.rule.name))
        self.live = tuple(r for r in self.rules if r.rule.spec.mode != "Disabled")
        self.threshold = threshold
        self.hash = content_hash((c.rule for c in self.rules), environment.schema, threshold)
        self.windows = windows or plan(v for c in self.live for v in c.values.values())
        self.reads = frozenset[str]().union(*(compiled.reads for compiled in self.live))
        self.schema = environment.schema
        self._environment = environment
        self._on_error = on_error
        columns = {value: i for i, value in enumerate(self.windows.values)}
        self._columns = [
            {name: columns[value] for name, value in compiled.values.items()}
            for compiled in self.live
        ]
        self._decided: dict[int, tuple[Decision, list[dict[str, int]]]] = {}
        self.vivid = sum(1 << i for i, named in enumerate(self._columns) if named)
        """Mask of the rules whose explanation has values of aggregates."""
        self.conditions = Conditions(
            (
                Condition(c.rule.name, c.expression, c.code, c.condition_reads, named)
                for c, named in zip(self.live, self._columns, strict=True)
            ),
            environment,
            on_error,
        )
        self.where_texts = tuple(dict.fromkeys(s.where for s in self.windows.series if s.where))
        self.wheres = self._build_wheres()

    def with_windows(self, rules: Iterable[CompiledRule], windows: Plan) -> Ruleset:
        """Make a ruleset of other rules over existing windows."""
        return Ruleset(rules, self._environment, self.threshold, self._on_error, windows)

    def decide(self, mask: int) -> Decision:
        """Return the decision for a mask, without values of aggregates."""
        return self._decide(mask)[0]

    def explain(self, mask: int, values: Sequence[float | int | None]) -> Decision:
        """Return the decision for a mask with the values of one transaction.

        Args:
            mask: Mask of the rules that matched.
            values: Values of the transaction, in the order of `windows.values`; None for
                a missing one.

        """
        decision, columns = self._decide(mask)
        matches = tuple(
            replace(match, aggregates={name: values[column] for name, column in named.items()})
            if named
            else match
            for match, named in zip(decision.matches, columns, strict=True)
        )
        return Decision(decision.verdict, decision.score, matches)

    def _decide(self, mask: int) -> tuple[Decision, list[dict[str, int]]]:
        """Return the decision for a mask, and for each match the columns of its aggregates."""
        if mask not in self._decided:
            matched = [i for i in range(len(self.live)) if mask >> i & 1]
            decision = _decision([self.live[i].rule for i in matched], self.threshold)
            self._decided[mask] = decision, [self._columns[i] for i in matched]
        return self._decided[mask]

    def _build_wheres(self) -> Conditions:
        known = {
            text: (compiled.rule.name, condition)
            for compiled in self.live
            for text, condition in compiled.wheres.items()
        }
        conditions = []
        for text in self.where_texts:
            name, condition = known[text]
            conditions.append(condition._replace(label=name))
        return Conditions(conditions, self._environment, self._on_error)


def _decision(matched: Sequence[FraudRule], threshold: int) -> Decision:
    enforced = [rule for rule in matched if rule.spec.mode == "Enforce"]
    score = sum(rule.spec.score for rule in enforced if rule.spec.action == "Flag")
    allowed = any(rule.spec.action == "Allow" for rule in enforced)
    return Decision(
        verdict="fraud" if score >= threshold and not allowed else "legit",
        score=score,
        matches=tuple(
            Match(
                rule=rule.name,
                generation=rule.metadata.generation,
                mode=rule.spec.mode,
                action=rule.spec.action,
                score=rule.spec.score,
                severity=rule.spec.severity,
                reason_code=rule.reason_code,
                description=rule.spec.description,
            )
            for rule in matched
        ),
    )


def rule_hash(rule: FraudRule) -> str:
    """Return a hash of a rule's content: 16 hex digits of SHA-256.

    Examples are not part of it. They are run once, before the rule goes live, and are
    not distributed with it.
    """
    bare = msgspec.structs.replace(rule, spec=msgspec.structs.replace(rule.spec, examples=()))
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()[:16]


def content_hash(rules: Iterable[FraudRule], schema: Schema | None, threshold: int) -> str:
    """Return a hash of a ruleset's rules, schema and settings: 16 hex digits of SHA-256."""
    digest = hashlib.sha256(schema.fingerprint() if schema else b"")
    digest.update(str(threshold).encode())
    for rule in sorted(rules, key=lambda rule: rule.name):
        digest.update(rule_hash(rule).encode())
    return digest.hexdigest()[:16]
