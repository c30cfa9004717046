"""A FraudRule made ready to decide: checked, generated, and proven by its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.rules.consistency import contradictions
from services.rules.examples import run_examples
from services.rules.expressions import Environment, Expression
from services.rules.generation import Generator, UnsupportedError
from services.rules.limits import walk
from services.rules.presence import field_of, unguarded
from services.rules.problems import RuleError

if TYPE_CHECKING:
    import ast

    from services.rules.checked_pb2 import CheckedExpr
    from services.rules.model import FraudRule
    from services.transactions import Schema


_EMPTY = {"string": '""', "currency": '""', "bool": "false", "timestamp": "1970"}


class CompiledRule(msgspec.Struct, frozen=True):
    """A rule that may go live.

    `code` is the generated condition, or None where Google's evaluator decides
    (`fallback` then says which node is not generated). `reads` are the
    transaction's fields that the expression reads.
    """

    rule: FraudRule
    expression: Expression
    code: ast.expr | None
    fallback: str
    reads: frozenset[str]
    warnings: tuple[str, ...]


class Compiler:
    """Compiles the rules of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.environment = Environment(schema)
        self._optional = frozenset(
            f.name for f in schema.fields if not f.required and f.name not in {"id", "timestamp"}
        )

    def compile(self, rule: FraudRule) -> CompiledRule:
        """Check a rule, generate its condition and run its examples.

        Raises:
            RuleError: its parts do not fit together, the expression is refused,
                or an example fails.

        """
        if problems := tuple(contradictions(rule)):
            raise RuleError(problems)
        expression = self.environment.compile(rule.spec.expression)
        code, fallback = self._generate(expression.checked)
        compiled = CompiledRule(
            rule=rule,
            expression=expression,
            code=code,
            fallback=fallback,
            reads=_reads(expression.checked),
            warnings=self._warnings(expression.checked),
        )
        if problems := run_examples(rule, expression, self.environment):
            raise RuleError(problems)
        return compiled

    def _generate(self, checked: CheckedExpr) -> tuple[ast.expr | None, str]:
        try:
            return Generator(self.schema).generate(checked), ""
        except UnsupportedError as unsupported:
            return None, str(unsupported)

    def _warnings(self, checked: CheckedExpr) -> tuple[str, ...]:
        empty = {f.name: _EMPTY.get(f.type, "0") for f in self.schema.fields}
        return tuple(
            f"`{name}` may be missing, and then reads as {empty[name]}: "
            f"guard it with `has(transaction.{name}) && …`"
            for name in unguarded(checked, self._optional)
        )


def _reads(checked: CheckedExpr) -> frozenset[str]:
    return frozenset(field for node in walk(checked.expr) if (field := field_of(node)))
