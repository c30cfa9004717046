"""One engine for all who judge: from columns to the rules that match each row.

For example:

    engine = Engine(ruleset)
    counted = engine.counted(columns, transactions)
    values = windows.process(Rows(columns), times_ms, counted)
    masks = engine.masks(columns, values, transactions)
"""

from services.engine.judging import Engine
from services.engine.operands import Value
from services.engine.program import Decided, Program

__all__ = ["Decided", "Engine", "Program", "Value"]
