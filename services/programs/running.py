"""From a program and a batch to bitmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.columns import JsonDecoder, Whole
from services.programs.assembly import Assembly
from services.programs.collecting import collect
from services.programs.kernel import run as run_steps
from services.programs.steps import Work
from services.transactions import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from services.columns import Columns, Doubles
    from services.programs.assembly import Code


def run(
    code: Code, columns: Columns, values: Sequence[Whole | Doubles] = ()
) -> npt.NDArray[np.uint64]:
    """Run a program over a batch.

    Args:
        code: The program.
        columns: The batch, n rows.
        values: Values of aggregates, in the order of their numbers.

    Returns:
        The bitmaps, uint64[bitmaps, words]: bit i of word w is row 64 w + i.

    """
    n = len(columns)
    work = Work(
        np.empty((code.bitmaps, (n + 63) // 64), np.uint64),
        np.empty((code.ints, n), np.int64),
        np.empty((code.doubles, n), np.float64),
        np.empty((len(values), n), np.bool_),
    )
    for number, column in enumerate(values):
        registers: npt.NDArray[Any] = work.ints if isinstance(column, Whole) else work.doubles
        registers[number] = column.values
        work.valid[number] = column.valid
    run_steps(code.steps, code.constants, columns.data, columns.table, work)
    return work.bits


def prepare() -> None:
    """Compile the machine, or load what was compiled."""
    assembly = Assembly(0)
    true = assembly.bits(0, whole=0)  # no constants: false for all
    decoder = JsonDecoder(Schema((Field(name="a", type="string"),)))
    columns = decoder.decode([b"{}"])
    collect(~run(assembly.code(), columns), np.array([true]), columns.accepted)
