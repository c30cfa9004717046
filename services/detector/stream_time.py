"""Stream time of a partition: the progress of event times, as a median no single producer moves.

The offsets of a partition are cut into blocks of `BLOCK_RECORDS`. When a record of a
later block is reached, the block before it casts one vote: the lower median of the event
times of its transactions, including those that came too late. The *stream time* is
the largest vote so far, and `NEVER` before the first:

    offsets        0 … 1023   1024 … 2047   2048 …
    median         10:00:05   09:59:58
    stream time    NEVER      10:00:05      10:00:05

A producer that writes less than half of a block cannot move the median past the event
times of the others, so no fast clock makes transactions of others late. The stream time
lags by one to two blocks of records, whatever time they span. It depends only on the log,
because blocks are cut by offset.

A block whose beginning is no longer in the log casts no vote, because another reader
may have seen all of it; nor does a block of fewer than `VOTERS` transactions.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from confluent_kafka import Message

from services.streams.processing import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

# Before the first vote: no event time is late.
NEVER = -(1 << 62)
# A twentieth of a second at 20,000 records a second; 8 KB of memory a partition.
BLOCK_RECORDS = 1024
# The median of two values is the smaller one, and that of one value is the value itself.
VOTERS = 3

_offset = cast("Callable[[Message], int]", Message.offset)


class Mark(NamedTuple):
    """A point from which a reader finds the same stream time again.

    `time_ms` is the stream time (epoch ms) before the block whose first offset
    is `block` casts its vote.
    """

    time_ms: int
    block: int


class StreamTime:
    """The stream time of one partition, as its records are read in order.

    Args:
        start: Offset of the first record to read, or the log's beginning.
        time_ms: Stream time there, in epoch ms.
        ahead_ms: Event times longer than this after their block's vote count as ahead.
        size: Number of offsets in a block.

    """

    def __init__(
        self, start: int, time_ms: int = NEVER, *, ahead_ms: int = 0, size: int = BLOCK_RECORDS
    ) -> None:
        self.time_ms = time_ms
        """The stream time (epoch ms)."""
        self.ahead = 0
        """Number of transactions with event times far after their block's."""
        self._ahead_ms = ahead_ms
        self._size = size
        self._block = start // size
        self._whole = start % size == 0
        self._times: npt.NDArray[np.int64] = np.empty(size, np.int64)
        self._count = 0

    @property
    def mark(self) -> Mark:
        """Return the mark from which a reader finds the same stream time."""
        return Mark(self.time_ms, self._block * self._size)

    def reach(self, messages: list[Message], begin: int, end: int) -> int:
        """Advance to record `begin` of a batch; a block that ends before it casts its vote.

        Args:
            messages: Records of a batch.
            begin: Index of the record.
            end: Index after the last record of the partition in the batch.

        Returns:
            The index after the last record of the same block.

        """
        _, offset = place_of(messages[begin])
        block = offset // self._size
        if block > self._block:
            self._vote()
            self._block, self._whole = block, True
        after = (block + 1) * self._size
        if place_of(messages[end - 1])[1] < after:
            return end
        return bisect_left(messages, after, begin, end, key=_offset)

    def add(self, times_ms: npt.NDArray[np.int64]) -> None:
        """Add event times (int64[n], epoch ms) of the current block."""
        count = self._count + len(times_ms)
        self._times[self._count : count] = times_ms
        self._count = count

    def _vote(self) -> None:
        count, self._count = self._count, 0
        if not self._whole or count < VOTERS:
            return
        times = self._times[:count]
        middle = (count - 1) // 2
        self.time_ms = max(self.time_ms, int(np.partition(times, middle)[middle]))
        self.ahead += int(np.count_nonzero(times > self.time_ms + self._ahead_ms))


def block_of(offset: int, size: int = BLOCK_RECORDS) -> int:
    """Return the first offset of the block that contains an offset."""
    return offset // size * size
