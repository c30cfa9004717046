"""Compile a FraudRule: check it, generate its condition, run its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from services.rules.aggregates import Value, complaints, value_of
from services.rules.conditions import Condition
from services.rules.consistency import contradictions
from services.rules.examples import run_examples
from services.rules.expressions import Environment, Expression
from services.rules.generation import Generator, UnsupportedError
from services.rules.keys import DEFAULT_KEY, NO_KEY
from services.rules.likely import warnings_of
from services.rules.limits import walk
from services.rules.presence import field_of
from services.rules.problems import RuleError

if TYPE_CHECKING:
    import ast

    from services.rules.checked_pb2 import CheckedExpr
    from services.rules.model import Aggregate, FraudRule
    from services.transactions import Schema


class CompiledRule(msgspec.Struct, frozen=True):
    """A rule that may go live.

    `code` is the generated condition, or None if Google's evaluator is used
    (`fallback` is then the node that cannot be generated). `values` are the values of
    its aggregates by name, and `wheres` their conditions by text. `reads` are all
    fields of the transaction that the rule uses, `condition_reads` those that its
    expression uses.
    """

    rule: FraudRule
    expression: Expression
    code: ast.expr | None
    fallback: str
    reads: frozenset[str]
    condition_reads: frozenset[str]
    warnings: tuple[str, ...]
    values: dict[str, Value]
    wheres: dict[str, Condition]


class _Checked(NamedTuple):
    """A text that was checked to be a condition."""

    expression: Expression
    code: ast.expr | None
    fallback: str
    reads: frozenset[str]


class Compiler:
    """Compiles the rules of one schema.

    Args:
        schema: Schema of the transactions.
        keyed_by: Field that the input topic is keyed by, the only one that aggregates
            may group by; "none" for a topic without keys. The default means "none"
            if the schema has no such field.

    """

    def __init__(self, schema: Schema, keyed_by: str = DEFAULT_KEY) -> None:
        self.schema = schema
        names = {field.name for field in schema.fields}
        self.keyed_by = keyed_by if keyed_by != DEFAULT_KEY or keyed_by in names else NO_KEY
        self.environment = Environment(schema)

    def compile(self, rule: FraudRule) -> CompiledRule:
        """Check a rule, generate its condition and run its examples.

        Raises:
            RuleError: Fields contradict each other, an expression is rejected,
                or an example fails.

        """
        aggregates = rule.spec.aggregates
        if problems := (
            *contradictions(rule),
            *complaints(aggregates, self.schema, self.keyed_by),
        ):
            raise RuleError(problems)
        values = {aggregate.name: value_of(aggregate, self.schema) for aggregate in aggregates}
        wheres = {
            aggregate.where: self._where(i, aggregate)
            for i, aggregate in enumerate(aggregates)
            if aggregate.where
        }
        kinds: dict[str, str] = {name: value.kind for name, value in values.items()}
        checked = self._check(rule.spec.expression, "spec.expression", kinds)
        measured = {field for a in aggregates for field in (a.group_by, a.of) if field}
        compiled = CompiledRule(
            rule=rule,
            expression=checked.expression,
            code=checked.code,
            fallback=checked.fallback,
            reads=checked.reads.union(measured, *(w.reads for w in wheres.values())),
            condition_reads=checked.reads,
            warnings=tuple(
                warnings_of(rule, checked.expression.checked, wheres, kinds, self.environment)
            ),
            values=values,
            wheres=wheres,
        )
        if problems := run_examples(compiled, self.environment):
            raise RuleError(problems)
        return compiled

    def _where(self, i: int, aggregate: Aggregate) -> Condition:
        checked = self._check(aggregate.where, f"spec.aggregates[{i}].where", {})
        return Condition("", checked.expression, checked.code, checked.reads, {})

    def _check(self, text: str, field: str, kinds: dict[str, str]) -> _Checked:
        expression = self.environment.compile(text, field, kinds)
        code, fallback = self._generate(expression.checked, kinds)
        return _Checked(expression, code, fallback, _reads(expression.checked))

    def _generate(self, checked: CheckedExpr, kinds: dict[str, str]) -> tuple[ast.expr | None, str]:
        try:
            return Generator(self.schema, kinds).generate(checked), ""
        except UnsupportedError as unsupported:
            return None, str(unsupported)


def _reads(checked: CheckedExpr) -> frozenset[str]:
    return frozenset(field for node in walk(checked.expr) if (field := field_of(node)))
