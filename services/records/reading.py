"""Reading a topic from outside: what is committed, in no group, with nothing written back."""

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
        settings: where to connect.
        client_id: as it shows in the broker's logs and quotas.
        more: further options of librdkafka.

    """
    return Consumer(
        {
            **client_config(settings, client_id),
            # Nothing is committed to it and no one joins it; librdkafka asks for a name.
            "group.id": f"{client_id}-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **(more or {}),
        },
        logger=logging.getLogger("librdkafka"),
    )


def tail_offset(n: int) -> int:
    """Give the offset to assign for a partition's last n, which librdkafka looks up by itself.

    It is its RD_KAFKA_OFFSET_TAIL, which confluent-kafka has no name for.
    """
    return -2000 - n
