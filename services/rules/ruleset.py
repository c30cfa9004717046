"""All rules in force as one generated function from transactions to matches.

A batch goes in, a bit mask a transaction comes out: bit i is set when rule i
matched. What a mask means (verdict, score, explanation) is worked out once per
mask and remembered, so a transaction costs its conditions and little else:
about 0.1 µs for one rule and 2 µs for a hundred.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from services.rules.expressions import Environment, evaluate
from services.rules.generation import FUNCTIONS
from services.rules.guards import group_by_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from services.rules.compilation import CompiledRule
    from services.rules.model import Action, FraudRule, Mode, Severity
    from services.transactions import Schema

DEFAULT_THRESHOLD = 100

Verdict = Literal["legit", "fraud"]


class Match(msgspec.Struct, frozen=True, rename="camel"):
    """A rule that fired, as the explanation tells it."""

    rule: str
    generation: int
    mode: Mode
    action: Action
    score: int
    severity: Severity
    reason_code: str
    description: str


class Decision(msgspec.Struct, frozen=True):
    """What the rules say of a transaction: the verdict and why.

    `score` is the sum of the enforced flags that matched, also where an Allow
    overrules it.
    """

    verdict: Verdict
    score: int
    matches: tuple[Match, ...]


class Ruleset:
    """The rules in force, named by the hash of their content.

    Args:
        rules: the rules that may go live; disabled ones are known but decide
            nothing.
        environment: evaluates what is not generated.
        threshold: the score from which a transaction is fraud.
        on_error: told of a rule's name and the evaluator's message whenever a
            rule fails on a transaction; the rule then does not match.

    """

    def __init__(
        self,
        rules: Iterable[CompiledRule],
        environment: Environment,
        threshold: int = DEFAULT_THRESHOLD,
        on_error: Callable[[str, str], None] = lambda _rule, _error: None,
    ) -> None:
        self.rules = tuple(sorted(rules, key=lambda compiled: compiled.rule.name))
        self.live = tuple(r for r in self.rules if r.rule.spec.mode != "Disabled")
        self.threshold = threshold
        self.reads = frozenset[str]().union(*(compiled.reads for compiled in self.live))
        self.hash = content_hash((c.rule for c in self.rules), environment.schema, threshold)
        self._environment = environment
        self._on_error = on_error
        self._left = tuple(i for i, compiled in enumerate(self.live) if compiled.code is None)
        self.matches: Callable[[Sequence[Any]], list[int]] = self._generate()
        """Judge a batch of transactions: a mask of the live rules that matched, for each."""

    def decide(self, mask: int) -> Decision:
        """Say what a mask means."""
        matched = [c.rule for i, c in enumerate(self.live) if mask >> i & 1]
        enforced = [rule for rule in matched if rule.spec.mode == "Enforce"]
        score = sum(rule.spec.score for rule in enforced if rule.spec.action == "Flag")
        allowed = any(rule.spec.action == "Allow" for rule in enforced)
        return Decision(
            verdict="fraud" if score >= self.threshold and not allowed else "legit",
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

    def evaluate(self, indices: Iterable[int], transaction: Any) -> int:  # noqa: ANN401 - a schema's own struct
        """Ask Google's evaluator for some of the live rules; the mask of those that match."""
        activation = self._environment.activation(transaction)
        mask = 0
        for i in indices:
            answer = evaluate(self.live[i].expression, activation)
            if answer is True:
                mask |= 1 << i
            elif answer is not False:
                self._on_error(self.live[i].rule.name, answer)
        return mask

    def _generate(self) -> Callable[[Sequence[Any]], list[int]]:
        """Build the function: fields into locals, then each rule in a `try` of its own.

        Since Python 3.11 a `try` that catches nothing costs nothing.
        """
        generated = [(i, c.code) for i, c in enumerate(self.live) if c.code is not None]
        fields = sorted({name for i, _ in generated for name in self.live[i].reads})
        body: list[ast.stmt] = [
            *(_parse(f"f_{name} = transaction.{name}") for name in fields),
            _parse("mask = 0"),
            *_conditions(generated),
        ]
        if self._left:
            body.append(_parse("mask |= evaluate(left, transaction)"))
        body.append(_parse("append(mask)"))
        module = ast.parse(
            "def matches(transactions):\n"
            "    masks = []\n"
            "    append = masks.append\n"
            "    for transaction in transactions: pass\n"
            "    return masks\n"
        )
        loop = next(node for node in ast.walk(module) if isinstance(node, ast.For))
        loop.body = body
        names: dict[str, Any] = {**FUNCTIONS, "evaluate": self.evaluate, "left": self._left}
        exec(compile(ast.fix_missing_locations(module), "<ruleset>", "exec"), names)  # noqa: S102 - a tree of our own nodes; rule text is only ever a constant in it
        function: Callable[[Sequence[Any]], list[int]] = names["matches"]
        return function


def _conditions(generated: list[tuple[int, ast.expr]]) -> Iterator[ast.stmt]:
    for guard, conditions in group_by_guard(generated):
        statements = [_condition(i, code) for i, code in conditions]
        if guard is None:
            yield from statements
        else:
            yield ast.If(guard, statements, [])


def _condition(index: int, code: ast.expr) -> ast.stmt:
    """`if CODE: mask |= BIT`, and where that raises, what the evaluator says."""
    match = ast.If(code, [_parse(f"mask |= {1 << index}")], [])
    ask = _parse(f"mask |= evaluate(({index},), transaction)")
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ask])
    return ast.Try([match], [handler], [], [])


def _parse(source: str) -> ast.stmt:
    return ast.parse(source).body[0]


def rule_hash(rule: FraudRule) -> str:
    """Name what a rule decides and tells: 16 hex digits of SHA-256.

    Its examples do not count. They prove it once, before it goes live, and do
    not travel with it.
    """
    bare = msgspec.structs.replace(rule, spec=msgspec.structs.replace(rule.spec, examples=()))
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()[:16]


def content_hash(rules: Iterable[FraudRule], schema: Schema | None, threshold: int) -> str:
    """Name a ruleset by its rules, its schema and its settings: 16 hex digits of SHA-256."""
    digest = hashlib.sha256(schema.fingerprint() if schema else b"")
    digest.update(str(threshold).encode())
    for rule in sorted(rules, key=lambda rule: rule.name):
        digest.update(rule_hash(rule).encode())
    return digest.hexdigest()[:16]
