"""Consumers that read committed records of a topic without a group and write nothing back."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

from confluent_kafka import Consumer

from services.streams.clients import client_config

if TYPE_CHECKING:
    from services.settings import KafkaSettings
    from services.streams.clients import Config


def reader(settings: KafkaSettings, client_id: str, more: Config | None = None) -> Consumer:
    """Make a consumer whose partitions are assigned by hand.

    Args:
        settings: Kafka settings with the brokers' addresses.
        client_id: Name of the client in the broker's logs and quotas.
        more: Further options of librdkafka.

    """
    return Consumer(
        {
            **client_config(settings, client_id),
            # librdkafka requires a name; nothing is committed to this group and nobody joins it.
            "group.id": f"{client_id}-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            # If a record was deleted before it was read: continue at the oldest one that is left.
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            **(more or {}),
        },
        logger=logging.getLogger("librdkafka"),
    )


def tail_offset(n: int) -> int:
    """Return the offset to assign for a partition's last n, which librdkafka looks up by itself.

    It is librdkafka's RD_KAFKA_OFFSET_TAIL, for which confluent-kafka has no name.
    """
    return -2000 - n
