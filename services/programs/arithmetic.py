"""The machine's steps that write numbers, except those that read texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.compiled import compiled, inlined, unsigned
from services.programs import steps as s
from services.programs.steps import Work, bit_at, double_at, int_at

if TYPE_CHECKING:
    from services.columns import Table

_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1
_SAFE = 2.0**62
"""A product that is below this as a double is an int64."""


@compiled
def doubles(step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Compute doubles."""
    operation, target = step.operation, ~step.target
    for row in range(table.flags.shape[1]):
        if operation == s.FILL:
            work.doubles[target, row] = step.number
        elif operation == s.DOUBLE_OF:
            work.doubles[target, row] = float(int_at(table, work, step.first, row))
        elif operation == s.NEGATE:
            work.doubles[target, row] = -double_at(table, work, step.first, row)
        else:
            a = double_at(table, work, step.first, row)
            b = double_at(table, work, step.second, row)
            if operation == s.ADD:
                work.doubles[target, row] = a + b
            elif operation == s.SUBTRACT:
                work.doubles[target, row] = a - b
            elif operation == s.MULTIPLY:
                work.doubles[target, row] = a * b
            elif operation == s.DIVIDE:
                work.doubles[target, row] = _divided(a, b)
            else:
                work.doubles[target, row] = a if bit_at(work, step.third, row) else b


@inlined
def _divided(a: float, b: float) -> float:
    """Divide as IEEE 754 does; a division by zero that numba compiles raises."""
    if b != 0.0:
        return a / b
    if a == 0.0 or a != a:  # noqa: PLR0124 - true for NaN
        return np.nan
    return np.copysign(np.inf, a) * np.copysign(1.0, b)  # type: ignore[no-any-return]


@compiled
def ints(step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Write integers, codes of texts, and parts of times."""
    operation, target = step.operation, ~step.target
    for row in range(table.flags.shape[1]):
        if operation == s.INT_FILL:
            work.ints[target, row] = step.whole
            continue
        a = int_at(table, work, step.first, row)
        if operation == s.CODE:  # -1 if the text is missing
            work.ints[target, row] = a if table.flags[step.second, row] else -1
        elif operation == s.CLOCK:  # `whole` µs a unit
            work.ints[target, row] = (a // step.whole + step.second) % step.third
        else:
            b = int_at(table, work, step.second, row)
            work.ints[target, row] = a if bit_at(work, step.third, row) else b


@compiled
def checked_ints(step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Compute integers, and write into bitmap `third` which rows have no result."""
    operation, target = step.operation, ~step.target
    for word in range(work.bits.shape[1]):
        failed = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            row = 64 * word + bit
            a = int_at(table, work, step.first, row)
            b = int_at(table, work, step.second, row)
            result, fails = _computed(operation, a, b)
            work.ints[target, row] = result
            failed |= unsigned(fails) << unsigned(bit)
        work.bits[step.third, word] = failed


@inlined
def _computed(operation: int, a: int, b: int) -> tuple[int, bool]:
    """The result as in C, and whether there is none. Some large products count as none."""
    if operation == s.INT_ADD:
        fails = (b > 0 and a > _HIGHEST - b) or (b < 0 and a < _LOWEST - b)
        return (0 if fails else a + b), fails
    if operation == s.INT_SUBTRACT:
        fails = (b < 0 and a > _HIGHEST + b) or (b > 0 and a < _LOWEST + b)
        return (0 if fails else a - b), fails
    if operation == s.INT_MULTIPLY:
        fails = not -_SAFE < float(a) * float(b) < _SAFE
        return (0 if fails else a * b), fails
    if b == 0 or (a == _LOWEST and b == -1):
        return 0, True
    quotient = a // b
    if quotient < 0 and quotient * b != a:
        quotient += 1  # towards zero
    return (quotient if operation == s.INT_DIVIDE else a - quotient * b), False
