"""One stream's identity, and what its Kafka clients are configured with because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.streams.clients import client_config

if TYPE_CHECKING:
    from services.settings import KafkaSettings
    from services.streams.clients import Config

# A transaction lasts 0.1 s. One that a dead detector left open holds up read_committed consumers,
# and whoever takes over its partitions, for this long.
TRANSACTION_TIMEOUT_MS = 10_000
# A static member that is killed and restarted within this time has its partitions back at once; one
# that does not come back holds them this long.
SESSION_TIMEOUT_MS = 12_000
# A scale-out takes one heartbeat.
HEARTBEAT_MS = 500
# Room for a record of the input's largest size and the headers that are added to it.
MESSAGE_MAX_BYTES = 8 * 1024 * 1024


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream's identity: where it reads, who it is, and how it delivers."""

    settings: KafkaSettings
    topic: str
    group: str
    instance_id: str
    exactly_once: bool = True

    def consumer_config(self) -> Config:
        """Librdkafka's settings of the consumer."""
        return {
            **client_config(self.settings, self.instance_id),
            "group.id": self.group,
            # Classic protocol, static and cooperative: partitions are back 0.06 s after a restart.
            # KIP-848 refuses the same instance id with a fatal error (librdkafka 2.16).
            "group.instance.id": self.instance_id,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": SESSION_TIMEOUT_MS,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # The default of 1000 ms costs three times the throughput.
            "fetch.queue.backoff.ms": 5,
            "fetch.error.backoff.ms": 100,
            "queued.min.messages": 50_000,
        }

    def producer_config(self) -> Config:
        """Librdkafka's settings of the producer."""
        config: Config = {
            **client_config(self.settings, self.instance_id),
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # where Java's producers put the same key
            "message.max.bytes": MESSAGE_MAX_BYTES,
            "queue.buffering.max.messages": 200_000,
            # A failed delivery fails the commit; nobody asks about the others.
            "delivery.report.only.error": True,
            "linger.ms": 5,
        }
        if self.exactly_once:
            config["transactional.id"] = f"{self.group}-{self.instance_id}"
            config["transaction.timeout.ms"] = TRANSACTION_TIMEOUT_MS
        return config
