"""The rules in force over columns: from a batch to the rules that match each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.engine.operands import Value
from services.engine.program import Program
from services.rules.expressions import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from services.columns import Columns, Doubles, Whole
    from services.rules import Ruleset
    from services.rules.conditions import Conditions
    from services.transactions import Schema

    Bools = npt.NDArray[np.bool_]
    # From an accepted row to its transaction.
    Transactions = Callable[[int], Any]

# Functions with a value for each row.
_ALWAYS = {"Count", "CountDistinct"}


class Engine:
    """Judges batches by one ruleset.

    Rows that the compiled program does not decide are decided one by one.

    Args:
        ruleset: Rules in force.

    """

    def __init__(self, ruleset: Ruleset) -> None:
        schema = ruleset.schema
        values = [Value(v.kind, v.function not in _ALWAYS) for v in ruleset.windows.values]
        self._wheres = ruleset.wheres
        self._conditions = ruleset.conditions
        self._texts = ruleset.where_texts
        self._counting = _program(schema, self._wheres, ())
        self._matching = _program(schema, self._conditions, values)

    def counted(self, columns: Columns, transactions: Transactions) -> dict[str, Bools]:
        """Return bool[n] for each condition of an aggregate: the row counts.

        Args:
            columns: The batch.
            transactions: Returns the transaction of an accepted row.

        """
        if not self._texts:
            return {}
        truths, undecided = self._counting.truths(columns)
        asked = _Asked(self._wheres, transactions, ())
        for i, rows in undecided.items():
            truths[i][rows] = asked.truths(i, rows)
        return dict(zip(self._texts, truths, strict=True))

    def masks(
        self, columns: Columns, values: Sequence[Whole | Doubles], transactions: Transactions
    ) -> dict[int, int]:
        """Return the mask of matching rules for each row with a match.

        Args:
            columns: The batch.
            values: Values of the ruleset's windows, each a column of the batch.
            transactions: Returns the transaction of an accepted row.

        """
        masks, undecided = self._matching.decide(columns, values)
        asked = _Asked(self._conditions, transactions, values)
        for i, rows in undecided.items():
            for row, answer in zip(rows, asked.truths(i, rows), strict=True):
                if answer:
                    masks[row] = masks.get(row, 0) | 1 << i
        return masks


def _program(schema: Schema, conditions: Conditions, values: Sequence[Value]) -> Program:
    parts = ((condition.expression.checked, condition.values) for condition in conditions.all)
    return Program(schema, parts, values)


class _Asked:
    """Evaluates conditions row by row; each row is decoded once for all of them."""

    def __init__(
        self,
        conditions: Conditions,
        transactions: Transactions,
        values: Sequence[Whole | Doubles],
    ) -> None:
        self._conditions = conditions
        self._transactions = transactions
        self._values = values
        self._decoded: dict[int, Any] = {}
        self._activations: dict[int, Any] = {}

    def truths(self, index: int, rows: list[int]) -> list[bool]:
        """Evaluate a condition on some rows."""
        for row in rows:
            if row not in self._decoded:
                self._decoded[row] = self._transactions(row)
        decoded = [self._decoded[row] for row in rows]
        values = [[_known(column.value(row)) for row in rows] for column in self._values]
        return self._conditions.truths(index, decoded, values, self._activations)


def _known(value: float | None) -> Any:  # noqa: ANN401 - a number, or NOTHING
    return NOTHING if value is None else value
