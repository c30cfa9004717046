"""Conditions over single transactions, for what the program over columns does not decide.

A condition is a generated function. Where that raises, or if it cannot be generated, Google's
evaluator decides.
"""

from __future__ import annotations

import ast
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from services.rules.expressions import evaluate
from services.rules.generation import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cel_expr_python import cel

    from services.rules.expressions import Environment, Expression

    Generated = Callable[..., bool]
    Activations = dict[int, cel.Activation]


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
    """Some conditions, each evaluated on its own.

    Args:
        conditions: The conditions.
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
        self.all = tuple(conditions)
        self._environment = environment
        self._on_error = on_error
        self._generated: dict[int, Generated] = {}

    def truths(
        self,
        index: int,
        transactions: Sequence[Any],
        columns: Sequence[Sequence[Any]] = (),
        activations: Activations | None = None,
    ) -> list[bool]:
        """Evaluate a condition on some transactions.

        Args:
            index: Index of the condition.
            transactions: Structs of the schema.
            columns: Values of aggregates, a column each.
            activations: Transactions that were prepared for Google's evaluator, by their `id()`;
                extended by this call. Other conditions on the same transactions reuse them.

        """
        shared = {} if activations is None else activations
        condition = self.all[index]
        rows = zip(*columns, strict=True) if columns else repeat(())
        pairs = zip(transactions, rows, strict=False)
        if condition.code is None:
            return [self._ask(condition, one, values, shared) for one, values in pairs]
        if index not in self._generated:
            self._generated[index] = _generate(condition)
        generated = self._generated[index]
        found = []
        for transaction, values in pairs:
            try:
                found.append(generated(transaction, values))
            except Exception:  # noqa: BLE001 - whatever fails is for the evaluator to decide
                found.append(self._ask(condition, transaction, values, shared))
        return found

    def _ask(
        self,
        condition: Condition,
        transaction: Any,  # noqa: ANN401 - a schema's own struct
        values: Sequence[Any],
        shared: Activations,
    ) -> bool:
        """Evaluate a condition with Google's evaluator."""
        named = {name: values[column] for name, column in condition.values.items()}
        activation = None if named else shared.get(id(transaction))
        if activation is None:
            activation = self._environment.activation(transaction, named)
            if not named:
                shared[id(transaction)] = activation
        answer = evaluate(condition.expression, activation)
        if isinstance(answer, str):
            self._on_error(condition.label, answer)
            return False
        return answer


def _generate(condition: Condition) -> Generated:
    """Build a function of a transaction and its values: they become locals, and then the code."""
    names = {f"f_{name}": f"transaction.{name}" for name in sorted(condition.reads)}
    names |= {f"a_{name}": f"values[{column}]" for name, column in condition.values.items()}
    body = "".join(f"    {local} = {source}\n" for local, source in names.items())
    module = ast.parse(f"def condition(transaction, values):\n{body}    return None\n")
    function = module.body[0]
    if isinstance(function, ast.FunctionDef):
        function.body[-1] = ast.Return(condition.code)
    known: dict[str, Any] = dict(FUNCTIONS)
    exec(compile(ast.fix_missing_locations(module), "<condition>", "exec"), known)  # noqa: S102 - a tree of our nodes; rule text is only ever a constant in it
    generated: Generated = known["condition"]
    return generated
