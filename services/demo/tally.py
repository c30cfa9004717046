"""Whether every transaction got exactly one verdict, told by reading the topics from outside.

Each value of a topic goes into a sum of hashes: two topics (or sets of topics)
hold the same values, each as often, when counts and sums are equal. Memory
does not grow with the topics.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULUS = 2**128


class Tally(NamedTuple):
    """How many values, and the sum of their hashes."""

    records: int
    hashes: int


def tally(bootstrap: str, topics: Iterable[str]) -> Tally:
    """Add up all committed values of some topics, from beginning to end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "demo-tally",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    known = consumer.list_topics(timeout=10).topics
    open_partitions = {(topic, p) for topic in topics for p in known[topic].partitions}
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in open_partitions])
    count = total = 0
    while open_partitions:
        for message in consumer.consume(10_000, 0.1):
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
                    open_partitions.discard((message.topic(), message.partition()))
                continue
            digest = hashlib.blake2b(message.value() or b"", digest_size=16).digest()
            total = (total + int.from_bytes(digest, "big")) % _MODULUS
            count += 1
    consumer.close()
    return Tally(count, total)
