"""Conditions as one program over columns, and its decisions about a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from services.engine.building import Builder
from services.programs import NEVER, collect, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from services.columns import Columns, Doubles, Whole
    from services.engine.operands import Value
    from services.rules.checked_pb2 import CheckedExpr
    from services.transactions import Schema

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


class Decided(NamedTuple):
    """Decisions of a program about a batch.

    `masks` has, for each accepted row on which a condition is true, the mask of these conditions:
    bit i is condition i. `undecided` has the accepted rows of each condition that the program
    does not decide; there its bit is 0.
    """

    masks: dict[int, int]
    undecided: dict[int, list[int]]


class Program:
    """Some conditions over the columns of one schema.

    Args:
        schema: Schema of the transactions.
        conditions: Checked expressions, and for each the numbers of the values that it reads, by
            name.
        values: Values of aggregates.

    """

    def __init__(
        self,
        schema: Schema,
        conditions: Iterable[tuple[CheckedExpr, Mapping[str, int]]],
        values: Sequence[Value] = (),
    ) -> None:
        builder = Builder(schema, values)
        registers = [builder.add(checked, named) for checked, named in conditions]
        self.code = builder.code()
        self._truths: Ints = np.array([register.at for register in registers], np.int64)
        self._doubts = {i: r.undecided for i, r in enumerate(registers) if r.undecided != NEVER}

    def decide(self, columns: Columns, values: Sequence[Whole | Doubles] = ()) -> Decided:
        """Run the program over a batch.

        Args:
            columns: The batch.
            values: Values of aggregates, a column each.

        """
        n = len(columns)
        if n == 0 or not len(self._truths):
            return Decided({}, {})
        bits = run(self.code, columns, values)
        rows, words = collect(bits, self._truths, columns.accepted)
        masks = dict(zip(rows.tolist(), _numbers(words), strict=True))
        return Decided(masks, self._undecided(bits, columns.accepted))

    def truths(
        self, columns: Columns, values: Sequence[Whole | Doubles] = ()
    ) -> tuple[list[Bools], dict[int, list[int]]]:
        """Run the program; return bool[n] for each condition, and the rows that are undecided."""
        n = len(columns)
        if n == 0 or not len(self._truths):
            return [np.zeros(n, np.bool_) for _ in self._truths], {}
        bits = run(self.code, columns, values)
        truths = [_unpacked(bits[at], n) & columns.accepted for at in self._truths]
        return truths, self._undecided(bits, columns.accepted)

    def _undecided(self, bits: npt.NDArray[np.uint64], accepted: Bools) -> dict[int, list[int]]:
        """Return the undecided rows of each condition that has some."""
        found = {}
        for i, bitmap in self._doubts.items():
            if bits[bitmap].any():
                rows = np.flatnonzero(_unpacked(bits[bitmap], len(accepted)) & accepted)
                if len(rows):
                    found[i] = rows.tolist()
        return found


def _unpacked(words: npt.NDArray[np.uint64], n: int) -> Bools:
    return np.unpackbits(words.view(np.uint8), count=n, bitorder="little").view(np.bool_)


def _numbers(words: npt.NDArray[np.uint64]) -> list[int]:
    """Convert rows of words, the lowest first, to numbers of any size."""
    if words.shape[1] == 1:
        numbers: list[int] = words[:, 0].tolist()
        return numbers
    size = 8 * words.shape[1]
    data = words.tobytes()
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
