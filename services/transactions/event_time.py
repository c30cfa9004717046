"""Event time: when a transaction happened, as integer epoch milliseconds on every struct.

It is the transaction's own timestamp if there is one, else the record's. Whether it is in
the future is measured against the record's timestamp instead of a clock, so that old
records that are read again years later are judged the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.transactions.fields import (
    Field,
    earliest_ms,
    expectation,
    milliseconds,
)
from services.transactions.rejections import Reason, Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from services.transactions.schema import Schema

Rejected = list[tuple[Any, Rejection]]


def settle_event_times(
    schema: Schema,
    transactions: Sequence[Any],
    record_timestamps_ms: Sequence[int],
    max_future_ms: int,
) -> list[tuple[int, Rejection]]:
    """Compute the event times of a batch, in place. Other timestamps stay as they were decoded.

    For structs, as in the examples of rules; the stream has `services.columns.event_times`.

    Args:
        schema: Schema that the transactions were decoded with.
        transactions: Structs from `schema.decode`.
        record_timestamps_ms: Timestamps of their records, in the same order.
        max_future_ms: How far an event time may be after its record's timestamp, in ms.

    Returns:
        Rejected transactions, by their index in the batch, in order.

    """
    if schema.event_time is None:
        return []
    suspects = []
    for transaction, record_ms in zip(transactions, record_timestamps_ms, strict=True):
        at = transaction.timestamp
        if at is None:
            transaction.timestamp = record_ms
        elif type(at) is not int or at - record_ms > max_future_ms:
            suspects.append((transaction, record_ms))
    rejected = _settle_suspects(schema.event_time, suspects, max_future_ms) if suspects else []
    return _indexed(transactions, rejected) if rejected else []


def _settle_suspects(
    field: Field, suspects: Iterable[tuple[Any, int]], max_future_ms: int
) -> Rejected:
    """Convert event times in RFC 3339, and reject those too old or too far in the future."""
    rejected: Rejected = []
    earliest = earliest_ms(field)
    for transaction, record_ms in suspects:
        at = transaction.timestamp
        transaction.timestamp = ms = at if type(at) is int else milliseconds(at)
        if ms < earliest:
            rejected.append((transaction, too_old(field, at)))
        elif ms - record_ms > max_future_ms:
            rejected.append((transaction, in_future(ms - record_ms, max_future_ms)))
    return rejected


def _indexed(transactions: Iterable[Any], rejected: Rejected) -> list[tuple[int, Rejection]]:
    """Find the indices of the rejected transactions."""
    found = {id(transaction): rejection for transaction, rejection in rejected}
    return [(i, found[id(t)]) for i, t in enumerate(transactions) if id(t) in found]


def too_old(field: Field, at: datetime) -> Rejection:
    """The rejection of an event time before the earliest that is allowed."""
    detail = f"{field.name}: found {at.isoformat()}, expected {expectation(field)}"
    return Rejection(Reason.TIMESTAMP_TOO_OLD, detail)


def in_future(ahead_ms: int, max_future_ms: int) -> Rejection:
    """The rejection of an event time that is so far after its record's."""
    return Rejection(
        Reason.TIMESTAMP_IN_FUTURE,
        f"timestamp: found {ahead_ms / 1000:.0f} s after the record's own timestamp, "
        f"expected at most {max_future_ms / 1000:.0f} s",
    )
