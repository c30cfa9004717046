"""Records without a broker."""

from __future__ import annotations

from typing import Any

import msgspec
from confluent_kafka import Message

from services.streams.processing import Batch

AT_MS = 1_767_268_800_000


def record(
    offset: int,
    partition: int = 0,
    *,
    key: bytes | None = b"a",
    at_ms: int = AT_MS,
    **fields: Any,
) -> Message:
    """A record of a payment; `value` in the place of one that is none."""
    payment = {"source": "a", "target": "b", "amount": 1.0, "currency": "USD"} | fields
    value = fields.get("value", msgspec.json.encode(payment))
    return Message(
        topic="t", partition=partition, offset=offset, key=key, value=value, timestamp=(1, at_ms)
    )


def batch(*records: Message) -> Batch:
    """A batch of records, as the loop hands it over."""
    return Batch.of(list(records))
