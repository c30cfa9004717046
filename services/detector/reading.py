"""Decode batches into columns of transactions, and reject the other records.

Both the stream and the replay, which fills windows, decode here, so both accept the same
records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.columns import JsonDecoder, event_times, set_event_times
from services.detector.stream_time import BLOCK_RECORDS, NEVER, StreamTime
from services.transactions import Reason, Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from services.columns import Columns
    from services.streams.processing import Batch
    from services.transactions import Schema

    Times = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


class Read(NamedTuple):
    """A decoded batch, one row a record.

    `times_ms` is int64[n], the event times. `columns.accepted` is false for all rejected rows,
    also those whose event time is rejected; the keys of `rejected` are these rows.
    `appended_ms` is int64[n], the timestamps of the records.
    """

    batch: Batch
    schema: Schema
    columns: Columns
    times_ms: Times
    rejected: dict[int, Rejection]
    out_of_order: int
    appended_ms: Times

    def transaction(self, row: int) -> Any:  # noqa: ANN401 - a schema's own struct
        """Decode one accepted row to a struct of the schema, with its event time."""
        transaction: Any = self.schema.decode(self.batch.values[row])  # type: ignore[arg-type]
        if self.schema.event_time is not None:
            transaction.timestamp = int(self.times_ms[row])
        return transaction

    def named(self, row: int) -> Any:  # noqa: ANN401 - a schema's own struct
        """Decode one accepted row; a missing id becomes topic-partition-offset of its record."""
        transaction = self.transaction(row)
        if getattr(transaction, "id", "") is None:
            transaction.id = self._name(row)
        return transaction

    def with_names(self) -> Columns:
        """The columns with an id in each accepted row."""
        missing = self.columns.accepted & ~self.columns.by_path["id"].valid
        names = {row: self._name(row) for row in np.flatnonzero(missing).tolist()}
        return self.columns.with_texts("id", names) if names else self.columns

    def _name(self, row: int) -> str:
        message = self.batch.messages[row]
        return f"{message.topic()}-{message.partition()}-{message.offset()}"


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
        self._decoder = JsonDecoder(schema)
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
        columns = self._decoder.decode(batch.values)
        appended = milliseconds(batch.timestamps_ms)
        times, rejected = event_times(self.schema, columns, appended, self.max_future_ms)
        if rejected:
            columns.accepted[list(rejected)] = False
        rejected |= columns.rejections
        out_of_order = self._reject_late(batch, columns.accepted, times, rejected, stream_times)
        set_event_times(self.schema, columns, times)
        return Read(batch, self.schema, columns, times, rejected, out_of_order, appended)

    def _reject_late(
        self,
        batch: Batch,
        accepted: Bools,
        times: Times,
        rejected: dict[int, Rejection],
        stream_times: dict[int, StreamTime],
    ) -> int:
        """Reject transactions that come too late; return how many others are out of order."""
        out_of_order = 0
        whole = not rejected
        for stream_time, begin, end in _blocks(batch, stream_times):
            own = times[begin:end] if whole else times[begin:end][accepted[begin:end]]
            if not len(own):
                continue
            stream_time.add(own)
            if own.min() >= stream_time.time_ms:
                continue
            behind = stream_time.time_ms - times[begin:end]
            earlier = (behind > 0) & accepted[begin:end]
            late = earlier & (behind > self.max_late_ms)
            out_of_order += int(np.count_nonzero(earlier)) - int(np.count_nonzero(late))
            for i in np.flatnonzero(late).tolist():
                rejected[begin + i] = _too_late(int(behind[i]), self.max_late_ms)
                accepted[begin + i] = False
        return out_of_order


def milliseconds(times_ms: list[int]) -> Times:
    """Convert a list to int64[n]."""
    return np.fromiter(times_ms, np.int64, len(times_ms))


def _blocks(
    batch: Batch, stream_times: dict[int, StreamTime]
) -> Iterator[tuple[StreamTime, int, int]]:
    """Yield each run's stream time, once a block, with the block's rows [begin, end)."""
    for partition, begin, end in batch.runs:
        stream_time = stream_times[partition]
        while begin < end:
            after = stream_time.reach(batch.messages, begin, end)
            yield stream_time, begin, after
            begin = after  # noqa: PLW2901 - continue with the next block of the run


def _too_late(behind_ms: int, max_late_ms: int) -> Rejection:
    return Rejection(
        Reason.TIMESTAMP_TOO_LATE,
        f"timestamp: found {behind_ms / 1000:.3f} s before the stream time of its partition, "
        f"expected at most {max_late_ms / 1000:.0f} s",
    )
