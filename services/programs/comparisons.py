"""The machine's steps that write bitmaps, except those that read texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.compiled import compiled, inlined, unsigned
from services.programs import steps as s
from services.programs.steps import Work, double_at, int_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from services.columns import Table


@compiled
def flags(step: Any, truths: npt.NDArray[np.bool_], work: Work) -> None:  # noqa: ANN401 - STEP
    """Pack row `first` of some truths, bool[_, n]."""
    for word in range(work.bits.shape[1]):
        bits = unsigned(0)
        for bit in range(min(64, truths.shape[1] - 64 * word)):
            bits |= unsigned(truths[step.first, 64 * word + bit]) << unsigned(bit)
        work.bits[step.target, word] = bits


@compiled
def connect(step: Any, work: Work) -> None:  # noqa: ANN401 - STEP
    """Connect bitmaps, or fill one."""
    operation, bits = step.operation, work.bits
    target, a, b = step.target, step.first, step.second
    for word in range(bits.shape[1]):
        if operation == s.AND:
            bits[target, word] = bits[a, word] & bits[b, word]
        elif operation == s.OR:
            bits[target, word] = bits[a, word] | bits[b, word]
        elif operation == s.NOT:
            bits[target, word] = ~bits[a, word]
        elif operation == s.XOR:
            bits[target, word] = bits[a, word] ^ bits[b, word]
        elif operation == s.AND_NOT:
            bits[target, word] = bits[a, word] & ~bits[b, word]
        else:
            bits[target, word] = unsigned(0) - unsigned(step.whole)


@inlined
def _holds(order: int, a: float, b: float) -> bool:
    if order == s.BELOW:
        return a < b
    if order == s.UP_TO:
        return a <= b
    if order == s.ABOVE:
        return a > b
    return a >= b if order == s.FROM else a == b


# Integers and doubles have loops of their types: a common one would turn int64 into float64.
@inlined
def _doubles(order: int, step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    first, second = step.first, step.second
    for word in range(work.bits.shape[1]):
        bits = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            a = double_at(table, work, first, 64 * word + bit)
            b = double_at(table, work, second, 64 * word + bit)
            bits |= unsigned(_holds(order, a, b)) << unsigned(bit)
        work.bits[step.target, word] = bits


@inlined
def _double(order: int, step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    register, constant = step.first, step.number
    for word in range(work.bits.shape[1]):
        bits = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            value = double_at(table, work, register, 64 * word + bit)
            bits |= unsigned(_holds(order, value, constant)) << unsigned(bit)
        work.bits[step.target, word] = bits


@inlined
def _ints(order: int, step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    first, second = step.first, step.second
    for word in range(work.bits.shape[1]):
        bits = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            a = int_at(table, work, first, 64 * word + bit)
            b = int_at(table, work, second, 64 * word + bit)
            bits |= unsigned(_holds(order, a, b)) << unsigned(bit)
        work.bits[step.target, word] = bits


@inlined
def _int(order: int, step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    register, constant = step.first, step.whole
    for word in range(work.bits.shape[1]):
        bits = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            value = int_at(table, work, register, 64 * word + bit)
            bits |= unsigned(_holds(order, value, constant)) << unsigned(bit)
        work.bits[step.target, word] = bits


@compiled
def compare_doubles(step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Compare doubles with each other or with `number`; each order has its own loop."""
    operation = step.operation
    if operation == s.LESS:
        _doubles(s.BELOW, step, table, work)
    elif operation == s.LESS_EQUAL:
        _doubles(s.UP_TO, step, table, work)
    elif operation == s.EQUAL:
        _doubles(s.SAME, step, table, work)
    elif operation == s.BELOW:
        _double(s.BELOW, step, table, work)
    elif operation == s.UP_TO:
        _double(s.UP_TO, step, table, work)
    elif operation == s.ABOVE:
        _double(s.ABOVE, step, table, work)
    elif operation == s.FROM:
        _double(s.FROM, step, table, work)
    else:
        _double(s.SAME, step, table, work)


@compiled
def compare_ints(step: Any, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Compare integers with each other or with `whole`."""
    operation = step.operation
    if operation == s.INT_LESS:
        _ints(s.BELOW, step, table, work)
    elif operation == s.INT_LESS_EQUAL:
        _ints(s.UP_TO, step, table, work)
    elif operation == s.INT_EQUAL:
        _ints(s.SAME, step, table, work)
    elif operation == s.INT_BELOW:
        _int(s.BELOW, step, table, work)
    elif operation == s.INT_UP_TO:
        _int(s.UP_TO, step, table, work)
    elif operation == s.INT_ABOVE:
        _int(s.ABOVE, step, table, work)
    elif operation == s.INT_FROM:
        _int(s.FROM, step, table, work)
    else:
        _int(s.SAME, step, table, work)
