"""The steps of a program, and the registers that they read and write.

Truths are bitmaps of 64 rows a word; the bits after the last row mean nothing. Numbers are columns.
A register of numbers is a row of the decoder's table from 0 on, and below 0 one of the machine's
own: register r is row `~r`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.compiled import inlined, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

    from services.columns import Table

TEXT_IS, TEXTS_EQUAL, CHARACTERS = range(3)
FLAG, HAS_VALUE = range(3, 5)
CONSTANT, AND, OR, NOT, XOR, AND_NOT = range(5, 11)
# Of two columns, and of a column with a constant: <, <=, ==, >, >=.
LESS, LESS_EQUAL, EQUAL = range(11, 14)
BELOW, UP_TO, SAME, ABOVE, FROM = range(14, 19)
INT_LESS, INT_LESS_EQUAL, INT_EQUAL = range(19, 22)
INT_BELOW, INT_UP_TO, INT_SAME, INT_ABOVE, INT_FROM = range(22, 27)
ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, DOUBLE_OF, CHOOSE, FILL = range(27, 35)
INT_ADD, INT_SUBTRACT, INT_MULTIPLY, INT_DIVIDE, INT_MODULO = range(35, 40)
INT_CHOOSE, INT_FILL, CODE, CLOCK = range(40, 44)

STEP = np.dtype(
    [
        ("operation", np.int64),
        ("target", np.int64),
        ("first", np.int64),
        ("second", np.int64),
        ("third", np.int64),
        ("number", np.float64),
        ("whole", np.int64),
    ]
)
"""One step: its operation, the register that it writes, those that it reads, and constants."""


class Work(NamedTuple):
    """Registers of the machine for n rows, and which of the aggregates have a value."""

    bits: npt.NDArray[np.uint64]  # uint64[bitmaps, words]
    ints: npt.NDArray[np.int64]  # int64[registers, n]
    doubles: npt.NDArray[np.float64]  # float64[registers, n]
    valid: npt.NDArray[np.bool_]  # bool[values, n]


@inlined
def int_at(table: Table, work: Work, register: int, row: int) -> Any:  # noqa: ANN401 - an int64
    """An integer of a register."""
    return table.ints[register, row] if register >= 0 else work.ints[~register, row]


@inlined
def double_at(table: Table, work: Work, register: int, row: int) -> Any:  # noqa: ANN401 - a float64
    """A double of a register."""
    return table.doubles[register, row] if register >= 0 else work.doubles[~register, row]


@inlined
def bit_at(work: Work, bitmap: int, row: int) -> bool:
    """The truth of a row."""
    return bool(work.bits[bitmap, row >> 6] >> unsigned(row & 63) & unsigned(1))
