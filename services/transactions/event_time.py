"""Event time: when a transaction happened, as integer epoch milliseconds on every struct.

A transaction tells it, or it is the record's. How far it may lie ahead is
measured against the record's own timestamp and not against a clock, so that
history read again years later is judged the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.transactions.refusals import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.transactions.schema import Schema


def settle_event_times(
    schema: Schema,
    transactions: Sequence[Any],
    record_timestamps_ms: Sequence[int],
    max_future_ms: int,
) -> list[tuple[int, Refusal]]:
    """Settle the event time of a batch, in place.

    About 55 ns a record where the timestamp is an integer or missing.

    Args:
        schema: that the transactions were decoded with.
        transactions: structs from `schema.decode`.
        record_timestamps_ms: of their records, in the same order.
        max_future_ms: how far an event time may lie after its record's.

    Returns:
        Those refused, by their index in the batch.

    """
    if not schema.has_event_time:
        return []
    suspects = []
    for transaction, record_ms in zip(transactions, record_timestamps_ms, strict=True):
        at = transaction.timestamp
        if at is None:
            transaction.timestamp = record_ms
        elif type(at) is not int or at - record_ms > max_future_ms:
            suspects.append(transaction)
    if not suspects:
        return []
    return _settle_suspects(schema, transactions, record_timestamps_ms, max_future_ms)


def _settle_suspects(
    schema: Schema,
    transactions: Sequence[Any],
    record_timestamps_ms: Sequence[int],
    max_future_ms: int,
) -> list[tuple[int, Refusal]]:
    """The slower half: RFC 3339 times become milliseconds, and bounds are applied."""
    refused = []
    for i, (transaction, record_ms) in enumerate(
        zip(transactions, record_timestamps_ms, strict=True)
    ):
        if type(transaction.timestamp) is not int:
            transaction.timestamp = _milliseconds(transaction.timestamp)
        at = transaction.timestamp
        if at < schema.earliest_ms and at != record_ms:
            refused.append((i, _too_old(at)))
        elif at - record_ms > max_future_ms:
            refused.append((i, _in_future(at, record_ms)))
    return refused


def _milliseconds(at: datetime) -> int:
    # Exact: timestamp() would go through a float.
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _too_old(at_ms: int) -> Refusal:
    return Refusal(
        Reason.TIMESTAMP_TOO_OLD, f"timestamp: {at_ms} ms is before the earliest allowed"
    )


def _in_future(at_ms: int, record_ms: int) -> Refusal:
    ahead = (at_ms - record_ms) / 1000
    return Refusal(
        Reason.TIMESTAMP_IN_FUTURE, f"timestamp: {ahead:.0f} s after the record's own timestamp"
    )
