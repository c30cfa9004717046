"""From a program and a batch to bitmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.columns import JsonDecoder, Whole
from services.programs.assembly import Assembly
from services.programs.collecting import collect
from services.programs.kernel import run as run_steps
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
    bits = np.empty((code.bitmaps, (n + 63) // 64), np.uint64)
    ints, doubles = np.empty((code.ints, n), np.int64), np.empty((code.doubles, n), np.float64)
    valid = np.empty((len(values), n), np.bool_)
    for number, column in enumerate(values):
        registers: npt.NDArray[Any] = ints if isinstance(column, Whole) else doubles
        registers[number] = column.values
        valid[number] = column.valid
    constants, table = code.constants, columns.table
    run_steps(
        code.steps,
        constants.data,
        constants.starts,
        columns.data,
        table.ints,
        table.doubles,
        table.flags,
        bits,
        ints,
        doubles,
        valid,
    )
    return bits


def prepare() -> None:
    """Compile the machine, or load what was compiled."""
    assembly = Assembly(0)
    true = assembly.bits(0, whole=0)  # no constants: false for all
    decoder = JsonDecoder(Schema((Field(name="a", type="string"),)))
    columns = decoder.decode([b"{}"])
    collect(~run(assembly.code(), columns), np.array([true]), columns.accepted)
