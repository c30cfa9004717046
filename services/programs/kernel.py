"""The machine that runs a program over the columns of a batch, compiled once for all programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.compiled import entry_point
from services.programs import arithmetic, comparisons, texts
from services.programs import steps as s

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from services.columns import Table
    from services.programs.steps import Work
    from services.programs.texts import Constants


@entry_point
def run(  # noqa: C901 - a case a group of steps
    program: npt.NDArray[Any],
    constants: Constants,
    data: npt.NDArray[np.uint8],
    table: Table,
    work: Work,
) -> None:
    """Run a program over a batch.

    Args:
        program: STEP[steps].
        constants: Texts of the program.
        data: Bytes with the texts of the batch.
        table: The decoder's columns of n rows.
        work: Registers to write; those of the values of aggregates are filled already.

    """
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
