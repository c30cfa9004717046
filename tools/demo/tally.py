"""Check from the topics that every transaction has exactly one verdict.

The hashes of all values of a topic are added up. Two topics (or sets of topics) have the
same values, each equally often, if counts and sums are equal. Memory does not grow with
the topics.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

_MODULUS = 2**128
_LEADER_SECONDS = 60.0
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's public name


class Tally(NamedTuple):
    """The number of values, and the sum of their hashes."""

    records: int
    hashes: int


def tally(bootstrap: str, topics: Iterable[str]) -> Tally:
    """Add up all committed values of some topics, from beginning to end."""
    consumer = Consumer(_config(bootstrap, "read_committed"))
    open_partitions = ends(bootstrap, topics)
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in open_partitions])
    count = total = 0
    while open_partitions:
        for message in consumer.consume(10_000, 0.1):
            if error := message.error():
                if error.code() == _END_OF_PARTITION:
                    close_at_end(open_partitions, message)
                continue
            digest = hashlib.blake2b(message.value() or b"", digest_size=16).digest()
            total = (total + int.from_bytes(digest, "big")) % _MODULUS
            count += 1
    consumer.close()
    return Tally(count, total)


def ends(bootstrap: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Return the end of each partition, by topic and number.

    It is the end of all records. A `read_committed` consumer gets an
    earlier one while a transaction is open, and for a moment after its commit:
    the coordinator answers before the partitions have the commit's markers.
    """
    consumer = Consumer(_config(bootstrap, "read_uncommitted"))
    known = consumer.list_topics(timeout=_LEADER_SECONDS).topics
    places = [TopicPartition(topic, p) for topic in topics for p in known[topic].partitions]
    found = {(p.topic, p.partition): _end(consumer, p) for p in places}
    consumer.close()
    return found


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """Return the end of a partition; tries again if a broker that just started does not lead it."""
    deadline = time.monotonic() + _LEADER_SECONDS
    while True:
        try:
            return int(consumer.get_watermark_offsets(place)[1])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def close_at_end(open_partitions: dict[tuple[str, int], int], message: Message) -> None:
    """Remove a partition if the end that was reached is the one from `ends`, or a later one."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None  # noqa: S101 - an end belongs to a partition
    assert partition is not None  # noqa: S101
    assert offset is not None  # noqa: S101
    if offset >= open_partitions.get((topic, partition), 0):
        open_partitions.pop((topic, partition), None)


def _config(bootstrap: str, isolation: str) -> dict[str, str | bool]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": "demo-tally",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": isolation,
    }
