"""Partitions that belong to no one, found and given back to the group.

A cooperative rebalance moves a partition in two steps: its owner gives it up and
joins again, and then the next owner gets it. A static member that is killed
between the two comes back to its old share without a rebalance (KIP-345), so
nobody takes the second step, and the partition stands still until the group
changes for another reason. So each detector asks the coordinator once in a
while who has what, and where a settled group leaves a partition out, one of
them gives the group a reason: a guest joins and leaves.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from services.streams.clients import ATTEMPT_SECONDS, client_config

if TYPE_CHECKING:
    from confluent_kafka.admin._group import ConsumerGroupDescription

    from services.streams.stream import Stream

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
# A group is settled when two looks in a row find it so; a rebalance takes less than one.
LOOKS = 2
# How long the guest waits for the group to take it in. Two heartbeats and a little.
GUEST_SECONDS = 3.0


class OwnershipWatch:
    """Looks after the group of a stream from a thread of its own."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ownership", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; does not wait for a look that is under way."""
        self._stop.set()

    def _watch(self) -> None:
        config = client_config(self._stream.settings, self._stream.instance_id)
        admin = AdminClient(config, logger=logging.getLogger("librdkafka"))
        found = 0
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            try:
                found = found + 1 if self._mine_to_mend(admin) else 0
                if found >= LOOKS:
                    found = 0
                    _visit(self._stream)
            except KafkaException as error:  # the loop has the same trouble, and says so
                log.debug("group not described", reason=error.args[0].str())

    def _mine_to_mend(self, admin: AdminClient) -> bool:
        """Whether partitions are without an owner, and this member is the first of the group."""
        group = self._stream.group
        asked = admin.describe_consumer_groups([group], request_timeout=ATTEMPT_SECONDS)
        described = asked[group].result()
        topic = admin.list_topics(self._stream.topic, ATTEMPT_SECONDS).topics[self._stream.topic]
        without = unowned(described, self._stream.topic, len(topic.partitions))
        first = min((m.group_instance_id or "" for m in described.members), default="")
        if without:
            log.warning("partitions without an owner", partitions=sorted(without))
        return bool(without) and first == self._stream.instance_id


def unowned(group: ConsumerGroupDescription, topic: str, partitions: int) -> set[int]:
    """Say which of a topic's partitions no member of a settled group has."""
    if group.state != ConsumerGroupState.STABLE:
        return set()
    owned = {
        place.partition
        for member in group.members
        for place in member.assignment.topic_partitions
        if place.topic == topic
    }
    return set(range(partitions)) - owned


def _visit(stream: Stream) -> None:
    """Join the group without an identity and leave again, so that it shares out anew."""
    config = stream.consumer_config()
    del config["group.instance.id"]
    guest = Consumer(config, logger=logging.getLogger("librdkafka"))
    joined = threading.Event()
    try:
        guest.subscribe([stream.topic], on_assign=lambda *_: joined.set())
        for _ in range(int(GUEST_SECONDS / 0.1)):
            guest.poll(0.1)
            if joined.is_set():
                break
    finally:
        guest.close()
