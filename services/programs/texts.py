"""The machine's steps that read texts: slices of one buffer of UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from services.compiled import compiled, inlined, unsigned

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from services.columns import Table
    from services.programs.steps import Work

    Data = npt.NDArray[np.uint8]

IS, BEGINS, ENDS, CONTAINS = range(4)
"""Tests of a text with a constant."""


class Constants(NamedTuple):
    """Texts of a program: constant c is `data[starts[c]:starts[c + 1]]`."""

    data: Data
    starts: npt.NDArray[np.int64]


@compiled
def compare(step: Any, constants: Constants, data: Data, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Make test `third` of each text with `whole` constants from `second` on; one has to hold."""
    text = step.first
    for word in range(work.bits.shape[1]):
        found = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            start = table.ints[text, 64 * word + bit]
            length = table.ints[text + 1, 64 * word + bit]
            for constant in range(step.second, step.second + step.whole):
                if _holds(step.third, data, start, length, constants, constant):
                    found |= unsigned(1) << unsigned(bit)
                    break
        work.bits[step.target, word] = found


@inlined
def _holds(
    test: int, data: Data, start: int, length: int, constants: Constants, constant: int
) -> bool:
    other = constants.starts[constant]
    size = constants.starts[constant + 1] - other
    if size > length or (test == IS and size != length):
        return False
    if test != CONTAINS:
        at = start + length - size if test == ENDS else start
        return _same(data, at, constants.data, other, size)
    for at in range(start, start + length - size + 1):
        if _same(data, at, constants.data, other, size):
            return True
    return False


@inlined
def _same(first: Data, at: int, second: Data, other: int, size: int) -> bool:
    for i in range(size):  # noqa: SIM110 - compiled code has no generators
        if first[at + i] != second[other + i]:
            return False
    return True


@compiled
def equal(step: Any, data: Data, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Compare two texts of each row."""
    a, b = step.first, step.second
    for word in range(work.bits.shape[1]):
        found = unsigned(0)
        for bit in range(min(64, table.flags.shape[1] - 64 * word)):
            row = 64 * word + bit
            size = table.ints[a + 1, row]
            if size == table.ints[b + 1, row] and _same(
                data, table.ints[a, row], data, table.ints[b, row], size
            ):
                found |= unsigned(1) << unsigned(bit)
        work.bits[step.target, word] = found


@compiled
def count_characters(step: Any, data: Data, table: Table, work: Work) -> None:  # noqa: ANN401 - STEP
    """Count the characters of texts: all bytes but those that continue one."""
    for row in range(table.flags.shape[1]):
        start = table.ints[step.first, row]
        count = 0
        for at in range(start, start + table.ints[step.first + 1, row]):
            count += data[at] & 0xC0 != 0x80
        work.ints[~step.target, row] = count
