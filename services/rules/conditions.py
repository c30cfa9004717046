"""Conditions over transactions as one generated function, which returns bit masks.

Bit i is set if condition i is true. Each condition is in its own `try`. A condition that
raises, or that cannot be generated, is evaluated by Google's evaluator.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from services.rules.expressions import Expression, evaluate
from services.rules.generation import FUNCTIONS
from services.rules.guards import group_by_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from services.rules.expressions import Environment


class Masks(Protocol):
    """Function from transactions, and columns of aggregates' values, to masks of conditions."""

    def __call__(
        self, transactions: Sequence[Any], columns: Sequence[Sequence[Any]] = ()
    ) -> list[int]:
        """Return a mask for each transaction."""


class Condition(NamedTuple):
    """One condition.

    `label` is passed to `on_error`. `code` is None if Google's evaluator is used.
    `reads` are fields of the transaction. `values` are the columns of the aggregates,
    by name.
    """

    label: str
    expression: Expression
    code: ast.expr | None
    reads: frozenset[str]
    values: dict[str, int]


class Conditions:
    """Some conditions, generated together.

    Args:
        conditions: Conditions in the order of their bits.
        environment: Evaluates conditions that are not generated.
        on_error: Called with a condition's label and the evaluator's message
            if it fails on a transaction; the condition then counts as not true.

    """

    def __init__(
        self,
        conditions: Iterable[Condition],
        environment: Environment,
        on_error: Callable[[str, str], None],
    ) -> None:
        self._conditions = tuple(conditions)
        self._environment = environment
        self._on_error = on_error
        self._left = tuple(i for i, c in enumerate(self._conditions) if c.code is None)
        self.masks: Masks = self._generate()
        """Return a mask for each transaction of a batch, given columns of aggregates' values."""

    def evaluate(self, indices: Iterable[int], transaction: Any, values: Sequence[Any]) -> int:  # noqa: ANN401 - a schema's own struct
        """Evaluate some conditions with Google's evaluator; return the mask of the true ones.

        Args:
            indices: Indices of the conditions.
            transaction: Transaction to evaluate them on.
            values: Values of the transaction, one for each column.

        """
        mask = 0
        bare = None
        for i in indices:
            condition = self._conditions[i]
            if condition.values:
                named = {name: values[column] for name, column in condition.values.items()}
                activation = self._environment.activation(transaction, named)
            else:
                bare = activation = bare or self._environment.activation(transaction, {})
            answer = evaluate(condition.expression, activation)
            if answer is True:
                mask |= 1 << i
            elif answer is not False:
                self._on_error(condition.label, answer)
        return mask

    def _generate(self) -> Masks:
        """Build the function: fields become locals, then each condition is in its own `try`.

        Since Python 3.11 a `try` without an exception has no cost.
        """
        generated = [
            (i, _Rename(c.values).visit(c.code)) if c.values else (i, c.code)
            for i, c in enumerate(self._conditions)
            if c.code is not None
        ]
        columns = sorted({column for c in self._conditions for column in c.values.values()})
        fields = sorted({name for i, _ in generated for name in self._conditions[i].reads})
        width = columns[-1] + 1 if columns else 0
        row = "(" + "".join(f"c{i}, " if i in columns else "None, " for i in range(width)) + ")"
        body: list[ast.stmt] = [
            *(_parse(f"f_{name} = transaction.{name}") for name in fields),
            _parse("mask = 0"),
            *_tests(generated, row),
        ]
        if self._left:
            body.append(_parse(f"mask |= evaluate(left, transaction, {row})"))
        body.append(_parse("append(mask)"))
        names = "".join(f", c{i}" for i in columns)
        taken = "".join(f", columns[{i}]" for i in columns)
        each = (
            f"transaction{names} in zip(transactions{taken})"
            if columns
            else "transaction in transactions"
        )
        module = ast.parse(
            "def masks(transactions, columns=()):\n"
            "    masks = []\n"
            "    append = masks.append\n"
            f"    for {each}: pass\n"
            "    return masks\n"
        )
        loop = next(node for node in ast.walk(module) if isinstance(node, ast.For))
        loop.body = body
        known: dict[str, Any] = {**FUNCTIONS, "evaluate": self.evaluate, "left": self._left}
        exec(compile(ast.fix_missing_locations(module), "<conditions>", "exec"), known)  # noqa: S102 - a tree of our nodes; rule text is only ever a constant in it
        function: Masks = known["masks"]
        return function


class _Rename(ast.NodeTransformer):
    """Replaces names of a rule's aggregates by names of columns, in a copy of the rule's tree."""

    def __init__(self, values: dict[str, int]) -> None:
        self._names = {f"a_{name}": f"c{column}" for name, column in values.items()}

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - as in the base class
        """Copy the nodes that have a name of an aggregate below them."""
        if isinstance(node, ast.Name):
            renamed = self._names.get(node.id)
            return ast.Name(renamed, ast.Load()) if renamed else node
        fields = {name: self._copied(value) for name, value in ast.iter_fields(node)}
        return type(node)(**fields)

    def _copied(self, value: Any) -> Any:  # noqa: ANN401 - nodes, lists of them, or constants
        if isinstance(value, list):
            return [self._copied(item) for item in value]
        return self.visit(value) if isinstance(value, ast.AST) else value


def _tests(generated: list[tuple[int, ast.expr]], row: str) -> Iterator[ast.stmt]:
    for guard, conditions in group_by_guard(generated):
        statements = [_test(i, code, row) for i, code in conditions]
        if guard is None:
            yield from statements
        else:
            yield ast.If(guard, statements, [])


def _test(index: int, code: ast.expr, row: str) -> ast.stmt:
    """Build `if CODE: mask |= BIT`, with the evaluator's result if CODE raises."""
    match = ast.If(code, [_parse(f"mask |= {1 << index}")], [])
    ask = _parse(f"mask |= evaluate(({index},), transaction, {row})")
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ask])
    return ast.Try([match], [handler], [], [])


def _parse(source: str) -> ast.stmt:
    return ast.parse(source).body[0]
