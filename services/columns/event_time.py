"""Event times of a batch of columns: the transaction's own, or its record's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.columns.columns import Times
from services.transactions import Rejection, in_future

if TYPE_CHECKING:
    import numpy.typing as npt

    from services.columns.columns import Columns
    from services.transactions import Schema

    Ints = npt.NDArray[np.int64]


def event_times(
    schema: Schema, columns: Columns, record_ms: Ints, max_future_ms: int
) -> tuple[Ints, dict[int, Rejection]]:
    """Event times in epoch milliseconds, and the rows whose time is too far in the future.

    Args:
        schema: Schema of the transactions.
        columns: The batch.
        record_ms: int64[n], the timestamps of its records in epoch milliseconds.
        max_future_ms: Longest time that an event time may lie after its record's.

    Returns:
        int64[n], and the rejections by row. A row that is rejected already has
        its record's time.

    Raises:
        TypeError: The decoder filled no column of times for the event time.

    """
    if schema.event_time is None:
        return record_ms, {}
    column = columns.by_path[schema.event_time.name]
    if not isinstance(column, Times):
        raise TypeError(f"found a column of {type(column).__name__} for the event time, not Times")
    times = np.where(column.valid, column.micros // 1000, record_ms)
    ahead = times - record_ms
    if not len(ahead) or ahead.max() <= max_future_ms:
        return times, {}
    return times, {
        row: in_future(int(ahead[row]), max_future_ms)
        for row in np.flatnonzero(ahead > max_future_ms).tolist()
    }


def set_event_times(schema: Schema, columns: Columns, times_ms: Ints) -> None:
    """Write the event times of accepted rows into their column: that is what rules read.

    Args:
        schema: Schema of the transactions.
        columns: The batch; its column of event times is overwritten.
        times_ms: int64[n], epoch milliseconds.

    """
    if schema.event_time is None:
        return
    column = columns.by_path[schema.event_time.name]
    if isinstance(column, Times):
        np.multiply(times_ms, 1000, out=column.micros, where=columns.accepted)
        np.logical_or(column.valid, columns.accepted, out=column.valid)
