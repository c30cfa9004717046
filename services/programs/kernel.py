"""The machine that runs a program over the columns of a batch, compiled once for all programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.columns import Table
from services.compiled import entry_point
from services.programs import arithmetic, comparisons, texts
from services.programs import steps as s
from services.programs.steps import Work
from services.programs.texts import Constants

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Data = npt.NDArray[np.uint8]


@entry_point
def run(  # noqa: C901, PLR0913, PLR0917 - a case a group of steps; plain arrays cost least
    program: npt.NDArray[Any],
    constants_data: Data,
    constants_starts: npt.NDArray[np.int64],
    data: Data,
    ints: npt.NDArray[np.int64],
    doubles: npt.NDArray[np.float64],
    flags: npt.NDArray[np.bool_],
    bits: npt.NDArray[np.uint64],
    own_ints: npt.NDArray[np.int64],
    own_doubles: npt.NDArray[np.float64],
    valid: npt.NDArray[np.bool_],
) -> None:
    """Run a program over a batch.

    numba looks up the type of each argument at each call. For arrays that takes 0.1 µs, for the
    tuples that are made of them here several.

    Args:
        program: STEP[steps].
        constants_data: Texts of the program, see `Constants`.
        constants_starts: Where these begin.
        data: Bytes with the texts of the batch.
        ints: The decoder's table of n rows, see `Table`.
        doubles: The same.
        flags: The same.
        bits: Registers to write, see `Work`.
        own_ints: The same; the values of aggregates are in the first ones already.
        own_doubles: The same.
        valid: Which rows have a value of each aggregate.

    """
    constants = Constants(constants_data, constants_starts)
    table, work = Table(ints, doubles, flags), Work(bits, own_ints, own_doubles, valid)
    for at in range(len(program)):
        step = program[at]
        operation = step.operation
        if operation == s.TEXT_IS:
            texts.compare(step, constants, data, table, work)
        elif operation == s.TEXTS_EQUAL:
            texts.equal(step, data, table, work)
        elif operation == s.CHARACTERS:
            texts.count_characters(step, data, table, work)
        elif operation == s.FLAG:
            comparisons.flags(step, table.flags, work)
        elif operation == s.HAS_VALUE:
            comparisons.flags(step, work.valid, work)
        elif operation <= s.AND_NOT:
            comparisons.connect(step, work)
        elif operation <= s.FROM:
            comparisons.compare_doubles(step, table, work)
        elif operation <= s.INT_FROM:
            comparisons.compare_ints(step, table, work)
        elif operation <= s.FILL:
            arithmetic.doubles(step, table, work)
        elif operation <= s.INT_MODULO:
            arithmetic.checked_ints(step, table, work)
        else:
            arithmetic.ints(step, table, work)
