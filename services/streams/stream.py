"""The identity of one stream, and the configuration of its Kafka clients that depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from confluent_kafka import KafkaError

from services.errors import UserError
from services.streams.clients import client_config

if TYPE_CHECKING:
    from services.settings import KafkaSettings
    from services.streams.clients import Config

# A transaction lasts 0.1 s. A transaction that a dead detector left open delays read_committed
# consumers, and the next owner of its partitions, for this long.
TRANSACTION_TIMEOUT_MS = 10_000
# A static member that is killed and restarted within this time has its partitions back at once;
# one that does not restart holds them this long.
SESSION_TIMEOUT_MS = 12_000
# A scale-out takes one heartbeat.
HEARTBEAT_MS = 500
# A member that does not poll leaves the group. The longest call of the loop takes 11 s.
MAX_POLL_INTERVAL_MS = 60_000
# The broker's limits apply to compressed batches and differ by topic. This is librdkafka's largest
# value, so the client rejects no record before it is compressed.
MESSAGE_MAX_BYTES = 1_000_000_000
# Bounds a response of the broker, and the decompressed size of a zstd batch: librdkafka holds it
# once and Python its records once more, both for the stream and for a replay beside it. A larger
# batch is skipped (unreadable.py). The input's max.message.bytes must be smaller.
RECEIVE_MAX_BYTES = 64 * 1024 * 1024
# librdkafka's default. A record that is larger is a batch by itself.
BATCH_BYTES = 1_000_000


class StreamError(UserError):
    """The stream cannot run with this configuration; the text is one line for people."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of one stream: its input, its group, and its delivery guarantee."""

    settings: KafkaSettings
    topic: str
    group: str
    client_id: str
    """Name in the broker's logs and quotas."""
    instance_id: str = ""
    """Static membership in the group under this name (KIP-345); dynamic if it is empty."""
    exactly_once: bool = True
    batch_bytes: int = BATCH_BYTES
    """Largest batch that may be written, in bytes, so that no output topic rejects it."""
    process: str = msgspec.field(default_factory=lambda: uuid4().hex)
    """Identity of this process in its transactions, used if there is no instance id."""

    @property
    def transactional_id(self) -> str:
        """Identity of the stream's transactions; begins with the group, as rights are by prefix.

        A static member that restarts settles the transaction it left open. For a dynamic member
        the broker does so after the transaction's timeout, and the group's metadata fences
        zombies (KIP-447).
        """
        return f"{self.group}-{self.instance_id or self.process}"

    def consumer_config(self) -> Config:
        """Configuration of the consumer, as librdkafka names it."""
        config: Config = {
            **client_config(self.settings, self.client_id),
            "group.id": self.group,
            # The classic protocol, cooperative. With KIP-848, a second join of the same instance id
            # is a fatal error (librdkafka 2.16).
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # The default of 1000 ms costs three times the throughput.
            "fetch.queue.backoff.ms": 5,
            "fetch.error.backoff.ms": 100,
            "queued.min.messages": 50_000,
            "fetch.max.bytes": RECEIVE_MAX_BYTES // 2,
            "receive.message.max.bytes": RECEIVE_MAX_BYTES,
        }
        if self.instance_id:
            # Partitions are back 0.06 s after a restart.
            config["group.instance.id"] = self.instance_id
        return config

    def producer_config(self) -> Config:
        """Configuration of the producer, as librdkafka names it."""
        config: Config = {
            **client_config(self.settings, self.client_id),
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # the same partition as Java's producers for a key
            "message.max.bytes": MESSAGE_MAX_BYTES,
            # A record that arrived compressed may be too large without compression: limits apply
            # to batches as they are sent.
            "compression.type": "lz4",
            "batch.size": self.batch_bytes,
            "queue.buffering.max.messages": 200_000,
            # A failed delivery fails the commit, so the reports of the others are not needed.
            "delivery.report.only.error": True,
            "linger.ms": 5,
        }
        if self.exactly_once:
            config["transactional.id"] = self.transactional_id
            config["transaction.timeout.ms"] = TRANSACTION_TIMEOUT_MS
        return config


def raise_if_final(error: KafkaError, stream: Stream) -> None:
    """Raise StreamError for an error that a new session would not survive."""
    # librdkafka hides the code of a fatal error behind _FATAL; its text stays.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or "same group.instance.id" in error.str():
        raise StreamError(
            f"another detector has INSTANCE_ID {stream.instance_id!r}; give each its own"
        )
