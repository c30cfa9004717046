"""From a bitmap a condition to a mask a row, for rows on which any condition is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.compiled import entry_point, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


def collect(bits: Words, truths: Ints, accepted: Bools) -> tuple[Ints, Words]:
    """Return the rows with a true condition, and the mask of each as words, the lowest first.

    Args:
        bits: uint64[bitmaps, words].
        truths: int64[conditions], the bitmap of each condition.
        accepted: bool[n]: the row counts.

    """
    rows = np.empty(len(accepted), np.int64)
    found = find(bits, truths, accepted, rows)
    masks = np.zeros((found, (len(truths) + 63) // 64), np.uint64)
    if found:
        fill(bits, truths, rows[:found], masks)
    return rows[:found], masks


@entry_point
def find(bits: Words, truths: Ints, accepted: Bools, rows: Ints) -> int:
    """Write the accepted rows on which a condition is true; return their number."""
    found = 0
    for word in range(bits.shape[1]):
        some = unsigned(0)
        for i in range(len(truths)):
            some |= bits[truths[i], word]
        if some == unsigned(0):
            continue
        for bit in range(min(64, len(accepted) - 64 * word)):
            row = 64 * word + bit
            if accepted[row] and some >> unsigned(bit) & unsigned(1) != unsigned(0):
                rows[found] = row
                found += 1
    return found


@entry_point
def fill(bits: Words, truths: Ints, rows: Ints, masks: Words) -> None:
    """Set bit i of a row's mask if condition i is true there; masks are 0 before."""
    for i in range(len(truths)):
        bitmap, place, own = truths[i], i >> 6, unsigned(i & 63)
        for at in range(len(rows)):
            row = rows[at]
            truth = bits[bitmap, row >> 6] >> unsigned(row & 63) & unsigned(1)
            masks[at, place] |= truth << own
