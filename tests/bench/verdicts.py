"""How many records a contender found to be frauds, and how many legit, as a reader sees them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.bench.measure import PARTITIONS

if TYPE_CHECKING:
    from tools.local_kafka import Broker

_LIMIT_SECONDS = 300.0


class Verdicts(NamedTuple):
    """Committed records of the two topics."""

    fraud: int
    legit: int


def count(broker: Broker, environment: dict[str, str]) -> Verdicts:
    """Read a contender's outputs to their ends."""
    return Verdicts(
        *(_records(broker, environment[f"{name}_TOPIC"]) for name in ("FRAUD", "LEGIT"))
    )


def _records(broker: Broker, topic: str) -> int:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "verdicts",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    records = ends = 0
    deadline = time.monotonic() + _LIMIT_SECONDS
    while ends < PARTITIONS:
        assert time.monotonic() < deadline, f"{topic} has no end"
        messages = consumer.consume(10_000, 0.2)
        errors = [error for message in messages if (error := message.error())]
        for error in errors:
            assert error.code() == KafkaError._PARTITION_EOF, error
        ends += len(errors)
        records += len(messages) - len(errors)
    consumer.close()
    return records
