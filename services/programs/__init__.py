"""Programs over columns: steps that one compiled machine runs over a batch, 64 rows a word.

For example:

    assembly = Assembly(values=0)
    large = assembly.bits(steps.ABOVE, places["amount"].row, number=900.0)
    bits = run(assembly.code(), columns, ())
    rows, masks = collect(bits, np.array([large]), columns.accepted)

A program knows neither rules nor their language. `prepare` compiles the machine, or loads it.
"""

from services.programs import steps
from services.programs.assembly import NEVER, Assembly, Code
from services.programs.collecting import collect
from services.programs.running import prepare, run
from services.programs.texts import BEGINS, CONTAINS, ENDS, IS

__all__ = [
    "BEGINS",
    "CONTAINS",
    "ENDS",
    "IS",
    "NEVER",
    "Assembly",
    "Code",
    "collect",
    "prepare",
    "run",
    "steps",
]
