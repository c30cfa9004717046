"""Offsets that this process committed, compared with the offsets that the broker has stored.

Kafka 4.3.0, 4.3.1 and 4.4.0 do not write the markers of a transaction to partitions
without a leader, but answer "committed" (KAFKA-20734). So after a restart of the only
broker, the committed offset may be an older one, and the records after it are judged twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import TopicPartition

log = structlog.get_logger()


class Commits:
    """Next offset of each partition as this process committed it last."""

    def __init__(self) -> None:
        self._following: dict[int, int] = {}

    def committed(self, positions: Iterable[TopicPartition]) -> None:
        """Remember a commit that succeeded."""
        for place in positions:
            self._following[place.partition] = place.offset

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget partitions of a topic that was created again, whose offsets begin at 0."""
        for partition in partitions:
            self._following.pop(partition, None)

    def check(self, place: TopicPartition) -> None:
        """Report a committed offset that is lower than this process's last commit.

        Args:
            place: Partition with its committed offset, negative if the broker has none.

        """
        ours = self._following.get(place.partition, 0)
        found = max(place.offset, 0)
        if found >= ours:
            return
        self._following[place.partition] = found
        metrics.COMMITS_FORGOTTEN.inc()
        log.error(
            "the broker forgot a commit: records may be judged twice; see the runbook "
            "FraudCommitForgotten",
            topic=place.topic,
            partition=place.partition,
            committed=ours,
            found=found,
            judged_twice_at_most=ours - found,
        )
