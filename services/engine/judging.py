"""The rules in force over columns: from a batch to the rules that match each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.rules.expressions import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from services.columns import Columns, Doubles, Whole
    from services.rules import Ruleset

    Bools = npt.NDArray[np.bool_]


class Engine:
    """Judges batches by one ruleset.

    Args:
        ruleset: Rules in force.

    """

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset

    def counted(self, columns: Columns, transaction: Callable[[int], Any]) -> dict[str, Bools]:
        """Return bool[n] for each condition of an aggregate: the row counts.

        Args:
            columns: The batch.
            transaction: Returns the transaction of an accepted row.

        """
        rows = np.flatnonzero(columns.accepted).tolist()
        found = {}
        for text, counts in self.ruleset.counted([transaction(row) for row in rows]).items():
            found[text] = np.zeros(len(columns), np.bool_)
            found[text][rows] = counts
        return found

    def masks(
        self,
        columns: Columns,
        values: Sequence[Whole | Doubles],
        transaction: Callable[[int], Any],
    ) -> dict[int, int]:
        """Return the mask of matching rules for each row with a match.

        Args:
            columns: The batch.
            values: Values of the ruleset's windows, each a column of the batch.
            transaction: Returns the transaction of an accepted row.

        """
        rows = np.flatnonzero(columns.accepted).tolist()
        known = [[_known(column.value(row)) for row in rows] for column in values]
        masks = self.ruleset.matches([transaction(row) for row in rows], known)
        return {row: mask for row, mask in zip(rows, masks, strict=True) if mask}


def _known(value: float | None) -> Any:  # noqa: ANN401 - a number, or NOTHING
    return NOTHING if value is None else value
