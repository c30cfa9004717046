"""From records to transactions that can be judged, and why the others cannot.

What the stream judges and what a replay feeds the windows with goes through
here, so that both take the same records for transactions.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.transactions import Reason, Refusal, refuse, settle_event_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from confluent_kafka import Message

    from services.streams.processing import Batch
    from services.transactions import Schema

    Times = npt.NDArray[np.int64]

# Before any transaction: no event time is late.
NEVER = -(1 << 62)

_event_time = attrgetter("timestamp")


class Run(NamedTuple):
    """The transactions of one partition, in the order of their offsets."""

    partition: int
    begin: int
    end: int


class Read(NamedTuple):
    """A batch that was read: its transactions, and what is none.

    `times_ms` is int64[n], the event times. `places` are the transactions'
    indices in the batch, None where all are in it. `refused` goes by those too.
    `appended_ms` is int64[records], the timestamps of all records.
    """

    transactions: list[Any]
    times_ms: Times
    runs: list[Run]
    places: list[int] | None
    refused: dict[int, Refusal]
    out_of_order: int
    appended_ms: Times

    def messages(self, batch: Batch) -> list[Message]:
        """The records of the transactions."""
        if self.places is None:
            return batch.messages
        return [batch.messages[i] for i in self.places]


class Reader:
    """Reads batches.

    Args:
        schema: of the transactions.
        max_future_ms: how far an event time may lie after its record's.
        max_late_ms: how far an event time may lie before the partition's stream
            time, the largest of the transactions before it.

    """

    def __init__(self, schema: Schema, *, max_future_ms: int, max_late_ms: int) -> None:
        self.schema = schema
        self._decode: Callable[[Any], Any] = schema.decode
        self.max_future_ms = max_future_ms
        self.max_late_ms = max_late_ms

    def read(self, batch: Batch, stream_times: dict[int, int]) -> Read:
        """Read a batch, whose records are ordered by partition.

        Args:
            batch: the records.
            stream_times: of the partitions (epoch ms); moved on.

        """
        try:
            transactions = list(map(self._decode, batch.values))
        except Exception:  # noqa: BLE001 - one bad record in the batch; find it, one by one
            return self._sift(batch, stream_times)
        appended = milliseconds(batch.timestamps_ms)
        times = self._plain_times(transactions, appended)
        if times is None:
            if settle_event_times(
                self.schema, transactions, batch.timestamps_ms, self.max_future_ms
            ):
                return self._sift(batch, stream_times)
            times = np.fromiter(map(_event_time, transactions), np.int64, len(transactions))
        return self._in_time(batch, transactions, times, appended, None, {}, stream_times)

    def _plain_times(self, transactions: list[Any], appended: Times) -> Times | None:
        """Give the event times where nothing is to be settled: all are integers, none too late."""
        if self.schema.event_time is None:
            return appended
        try:
            times = np.fromiter(map(_event_time, transactions), np.int64, len(transactions))
        except (TypeError, OverflowError):
            return None  # some are missing, or RFC 3339
        return times if (times - appended <= self.max_future_ms).all() else None

    def _sift(self, batch: Batch, stream_times: dict[int, int]) -> Read:
        """Read a batch with a record in it that is none, at 0.3 µs more for each of the others."""
        transactions, places = [], []
        refused: dict[int, Refusal] = {}
        for i, value in enumerate(batch.values):
            try:
                transactions.append(self._decode(value))
            except Exception as error:  # noqa: BLE001 - whatever decoding raises is a refusal
                refused[i] = refuse(self.schema, value, error)
            else:
                places.append(i)
        appended = milliseconds(batch.timestamps_ms)
        settled = settle_event_times(
            self.schema, transactions, appended[places].tolist(), self.max_future_ms
        )
        refused |= {places[i]: refusal for i, refusal in settled}
        if settled:
            kept = [place not in refused for place in places]
            transactions = list(compress(transactions, kept))
            places = list(compress(places, kept))
        if self.schema.event_time is None:
            times = appended[places]
        else:
            times = np.fromiter(map(_event_time, transactions), np.int64, len(transactions))
        return self._in_time(batch, transactions, times, appended, places, refused, stream_times)

    def _in_time(
        self,
        batch: Batch,
        transactions: list[Any],
        times: Times,
        appended: Times,
        places: list[int] | None,
        refused: dict[int, Refusal],
        stream_times: dict[int, int],
    ) -> Read:
        """Refuse what comes too late."""
        runs = list(_runs(batch, places))
        late: list[int] = []
        out_of_order = 0
        for partition, begin, end in runs:
            own = times[begin:end]
            before = np.empty(end - begin + 1, np.int64)
            before[0] = stream_times.get(partition, NEVER)
            np.maximum.accumulate(own, out=before[1:])
            np.maximum(before[1:], before[0], out=before[1:])
            stream_times[partition] = int(before[-1])
            behind = before[:-1] - own
            if behind.max() <= 0:
                continue
            too_late = np.flatnonzero(behind > self.max_late_ms)
            out_of_order += int(np.count_nonzero(behind > 0)) - len(too_late)
            for i in too_late.tolist():
                place = begin + i
                refused[place if places is None else places[place]] = _too_late(
                    int(behind[i]), self.max_late_ms
                )
                late.append(place)
        if late:
            gone = set(late)
            kept = [i for i in range(len(transactions)) if i not in gone]
            transactions = [transactions[i] for i in kept]
            times = times[kept]
            places = kept if places is None else [places[i] for i in kept]
            runs = list(_runs(batch, places))
        return Read(transactions, times, runs, places, refused, out_of_order, appended)


def milliseconds(times_ms: list[int]) -> Times:
    """Make an int64[n] of them."""
    return np.fromiter(times_ms, np.int64, len(times_ms))


def _runs(batch: Batch, places: list[int] | None) -> Iterator[Run]:
    """Give the runs of the batch, over those of its records that are left."""
    begin = 0
    for partition, _, end in batch.runs:
        if places is not None:
            end = bisect_left(places, end)  # noqa: PLW2901 - the same end, among those left
        if end > begin:
            yield Run(partition, begin, end)
        begin = end


def _too_late(behind_ms: int, max_late_ms: int) -> Refusal:
    return Refusal(
        Reason.TIMESTAMP_TOO_LATE,
        f"timestamp: found {behind_ms / 1000:.3f} s before the latest of its partition, "
        f"expected at most {max_late_ms / 1000:.0f} s",
    )


def name(transactions: list[Any], messages: list[Message]) -> None:
    """Give each transaction without an id its record's: topic-partition-offset."""
    for transaction, message in zip(transactions, messages, strict=True):
        if transaction.id is None:
            transaction.id = f"{message.topic()}-{message.partition()}-{message.offset()}"
