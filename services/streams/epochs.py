"""Find where a log was written again after a truncation, by the epochs of its leaders.

Each record has the epoch of the leader that wrote it, and epochs never decrease
along a log. If a log lost its end (an unclean election, a disk without its last
writes) and was written again, then it has records with epochs above E before an
offset that was committed with epoch E. The first of them is the first record that
differs from the old log. See KIP-320, whose request (OffsetsForLeaderEpoch)
librdkafka does not offer.

    offset         90  91  92  93  94  95     committed: 95, with epoch 4
    epoch           4   4   4   6   6   6     → written again from 93 on
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Written(NamedTuple):
    """A record's offset and the epoch of the leader that wrote it."""

    offset: int
    epoch: int


def rewritten_from(
    first_from: Callable[[int], Written | None], low: int, committed: int, epoch: int
) -> int | None:
    """Find the first record before a committed offset that a later leader wrote.

    Calls `first_from` twice if nothing was written again, else O(log(committed - low)) times.

    Args:
        first_from: Returns the first record at or after an offset; None at the log's end.
        low: First offset of the log.
        committed: The committed offset, above `low`.
        epoch: Leader epoch that was committed with it.

    Returns:
        Offset of the record, None if there is no such record.

    """

    def later(offset: int) -> int | None:
        found = first_from(offset)
        if found is None:  # only markers from here on: an earlier record decides
            return committed
        return found.offset if found.epoch > epoch else None

    first = later(committed - 1)
    if first is None:
        return None
    # `high` leads to a record of a later leader; search backwards until `below` does not.
    high, step = committed - 1, 1
    below = low - 1
    while high > low:
        offset = max(high - step, low)
        found = later(offset)
        if found is None:
            below = offset
            break
        first, high, step = found, offset, step * 2
    while high - below > 1:
        middle = (below + high) // 2
        found = later(middle)
        if found is None:
            below = middle
        else:
            first, high = found, middle
    return first if first < committed else None
