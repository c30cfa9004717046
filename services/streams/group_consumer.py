"""A consumer that fetches a partition of its group only once it knows the offset."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.streams.clients import Config


class GroupConsumer(Consumer):
    """A consumer that separates the partitions of the group from those that the client fetches.

    The group gives partitions in a rebalance. The client gets each of them later, with the offset
    to begin at. Otherwise the client would choose the offset itself: the committed one
    may belong to a log that is gone, offset 0 may be deleted, and for the log's end it asks a
    broker whose answer may come after a seek and overrule it.

    Args:
        config: Configuration of the client, with the cooperative protocol.
        topic: Topic that it reads.

    """

    def __init__(self, config: Config, topic: str) -> None:
        super().__init__(config, logger=logging.getLogger("librdkafka"))
        self._topic = topic
        self.fetched: set[int] = set()
        """Numbers of the partitions that the client has, as `assignment()` returns after a wait."""

    def acknowledge(self) -> None:
        """Accept the partitions of a rebalance, from within its callback, and fetch none yet."""
        self.incremental_assign([])

    def fetch(self, partition: int, offset: int) -> None:
        """Begin to fetch a partition at an offset."""
        self.incremental_assign([TopicPartition(self._topic, partition, offset)])
        self.fetched.add(partition)

    def drop(self, partitions: Iterable[int]) -> None:
        """Fetch some partitions no more.

        Within the callback of a rebalance this acknowledges it, also with no partition: librdkafka
        does not accept one that it was not given, and would then wait without end.
        """
        dropped = self.fetched.intersection(partitions)
        self.fetched -= dropped
        self.incremental_unassign([TopicPartition(self._topic, number) for number in dropped])
