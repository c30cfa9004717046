"""Decode batches into valid transactions and rejected records.

Both the stream and the replay, which fills windows, decode here, so both accept the same
records.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.detector.stream_time import BLOCK_RECORDS, NEVER, StreamTime
from services.transactions import Reason, Rejection, reject, settle_event_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from confluent_kafka import Message

    from services.streams.processing import Batch
    from services.transactions import Schema

    Times = npt.NDArray[np.int64]

_event_time = attrgetter("timestamp")


class Run(NamedTuple):
    """The transactions of one partition, in the order of their offsets."""

    partition: int
    begin: int
    end: int


class Read(NamedTuple):
    """A decoded batch: valid transactions and rejected records.

    `times_ms` is int64[n], the event times. `places` are the transactions' indices in the
    batch, None if all records are valid. The keys of `rejected` are such indices too.
    `appended_ms` is int64[records], the timestamps of all records.
    """

    transactions: list[Any]
    times_ms: Times
    runs: list[Run]
    places: list[int] | None
    rejected: dict[int, Rejection]
    out_of_order: int
    appended_ms: Times

    def messages(self, batch: Batch) -> list[Message]:
        """Return the records of the valid transactions."""
        if self.places is None:
            return batch.messages
        return [batch.messages[i] for i in self.places]


class Reader:
    """Decodes batches.

    Args:
        schema: Schema of the transactions.
        max_future_ms: How far an event time may be after its record's timestamp, in ms.
        max_late_ms: How far an event time may be before the partition's stream time, in ms.
        block_records: Number of offsets in a block of the stream time.

    """

    def __init__(
        self,
        schema: Schema,
        *,
        max_future_ms: int,
        max_late_ms: int,
        block_records: int = BLOCK_RECORDS,
    ) -> None:
        self.schema = schema
        self._decode: Callable[[Any], Any] = schema.decode
        self.max_future_ms = max_future_ms
        self.max_late_ms = max_late_ms
        self.block_records = block_records

    def stream_time(self, start: int, time_ms: int = NEVER) -> StreamTime:
        """Make the stream time of a partition that is read from an offset on."""
        return StreamTime(start, time_ms, ahead_ms=self.max_future_ms, size=self.block_records)

    def read(self, batch: Batch, stream_times: dict[int, StreamTime]) -> Read:
        """Decode a batch, whose records are ordered by partition.

        Args:
            batch: Records to decode.
            stream_times: Stream times of the batch's partitions; advanced by this call.

        """
        try:
            transactions = list(map(self._decode, batch.values))
        except Exception:  # noqa: BLE001 - the batch has a bad record; decode one by one to find it
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
        """Return the event times if all of them are integers and none is too late, else None."""
        if self.schema.event_time is None:
            return appended
        try:
            times = np.fromiter(map(_event_time, transactions), np.int64, len(transactions))
        except (TypeError, OverflowError):
            return None  # some are missing, or in RFC 3339
        return times if (times - appended <= self.max_future_ms).all() else None

    def _sift(self, batch: Batch, stream_times: dict[int, StreamTime]) -> Read:
        """Decode a batch with a bad record one by one, at 0.3 µs more for each of the others."""
        transactions, places = [], []
        rejected: dict[int, Rejection] = {}
        for i, value in enumerate(batch.values):
            try:
                transactions.append(self._decode(value))
            except Exception as error:  # noqa: BLE001 - every error of decoding is a rejection
                rejected[i] = reject(self.schema, value, error)
            else:
                places.append(i)
        appended = milliseconds(batch.timestamps_ms)
        settled = settle_event_times(
            self.schema, transactions, appended[places].tolist(), self.max_future_ms
        )
        rejected |= {places[i]: rejection for i, rejection in settled}
        if settled:
            kept = [place not in rejected for place in places]
            transactions = list(compress(transactions, kept))
            places = list(compress(places, kept))
        if self.schema.event_time is None:
            times = appended[places]
        else:
            times = np.fromiter(map(_event_time, transactions), np.int64, len(transactions))
        return self._in_time(batch, transactions, times, appended, places, rejected, stream_times)

    def _in_time(
        self,
        batch: Batch,
        transactions: list[Any],
        times: Times,
        appended: Times,
        places: list[int] | None,
        rejected: dict[int, Rejection],
        stream_times: dict[int, StreamTime],
    ) -> Read:
        """Reject transactions that come too late."""
        late: list[int] = []
        out_of_order = 0
        for stream_time, begin, end in _blocks(batch, places, stream_times):
            own = times[begin:end]
            stream_time.add(own)
            if own.min() >= stream_time.time_ms:
                continue
            behind = stream_time.time_ms - own
            too_late = np.flatnonzero(behind > self.max_late_ms)
            out_of_order += int(np.count_nonzero(behind > 0)) - len(too_late)
            for i in too_late.tolist():
                place = begin + i
                rejected[place if places is None else places[place]] = _too_late(
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
        return Read(transactions, times, runs, places, rejected, out_of_order, appended)


def milliseconds(times_ms: list[int]) -> Times:
    """Convert a list to int64[n]."""
    return np.fromiter(times_ms, np.int64, len(times_ms))


def _blocks(
    batch: Batch, places: list[int] | None, stream_times: dict[int, StreamTime]
) -> Iterator[tuple[StreamTime, int, int]]:
    """Yield each run's stream time, once a block, with the block's transactions [begin, end)."""
    for partition, begin, end in batch.runs:
        stream_time = stream_times[partition]
        while begin < end:
            after = stream_time.reach(batch.messages, begin, end)
            own = begin, after
            if places is not None:
                own = bisect_left(places, begin), bisect_left(places, after)
            if own[0] < own[1]:
                yield stream_time, *own
            begin = after  # noqa: PLW2901 - continue with the next block of the run


def _runs(batch: Batch, places: list[int] | None) -> Iterator[Run]:
    """Yield the runs of the batch, limited to the records in `places`."""
    begin = 0
    for partition, _, end in batch.runs:
        if places is not None:
            end = bisect_left(places, end)  # noqa: PLW2901 - the same end, as an index into `places`
        if end > begin:
            yield Run(partition, begin, end)
        begin = end


def _too_late(behind_ms: int, max_late_ms: int) -> Rejection:
    return Rejection(
        Reason.TIMESTAMP_TOO_LATE,
        f"timestamp: found {behind_ms / 1000:.3f} s before the stream time of its partition, "
        f"expected at most {max_late_ms / 1000:.0f} s",
    )


def name(transactions: list[Any], messages: list[Message]) -> None:
    """Set a missing id of a transaction to topic-partition-offset of its record."""
    for transaction, message in zip(transactions, messages, strict=True):
        if transaction.id is None:
            transaction.id = f"{message.topic()}-{message.partition()}-{message.offset()}"
