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
import struct
import threading
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from services.streams.clients import ATTEMPT_SECONDS, client_config

if TYPE_CHECKING:
    from services.streams.stream import Stream

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
# A group is settled when two looks in a row find it so; a rebalance takes less than one.
LOOKS = 2
# How long the guest waits for the group to take it in. Two heartbeats and a little.
GUEST_SECONDS = 3.0

_VERSION_BYTES = 2
_LENGTH, _COUNT = struct.Struct(">h"), struct.Struct(">i")


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
        admin = None
        found = 0
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            try:
                # Made anew after an error, which may be that of a certificate that was renewed.
                admin = admin or AdminClient(config, logger=logging.getLogger("librdkafka"))
                found = found + 1 if self._mine_to_mend(admin) else 0
                if found >= LOOKS:
                    found = 0
                    _visit(self._stream)
            except Exception as error:  # noqa: BLE001 - the loop has the same trouble, and says so
                log.debug("group not described", reason=repr(error))
                admin = None

    def _mine_to_mend(self, admin: AdminClient) -> bool:
        """Whether partitions are without an owner, and this member is the first of the group."""
        # Not describe_consumer_groups: librdkafka 2.16 aborts the process when a broker goes away
        # under it (seen: rd_kafka_enq_once_del_source_return: refcnt > 0).
        described = admin.list_groups(self._stream.group, ATTEMPT_SECONDS)
        topic = admin.list_topics(self._stream.topic, ATTEMPT_SECONDS).topics[self._stream.topic]
        for group in described:
            without = unowned(group, self._stream.topic, len(topic.partitions))
            if without:
                log.warning("partitions without an owner", partitions=sorted(without))
                first = min(str(member.client_id) for member in group.members)
                return first == self._stream.instance_id
        return False


def unowned(group: Any, topic: str, partitions: int) -> set[int]:  # noqa: ANN401 - confluent-kafka types its GroupMetadata as always None
    """Say which of a topic's partitions no member of a settled group has."""
    if group.state != "Stable" or not group.members:
        return set()
    owned = {p for member in group.members for p in assigned(member.assignment, topic)}
    return set(range(partitions)) - owned


def assigned(assignment: bytes, topic: str) -> list[int]:
    """Read a member's partitions of a topic from its assignment.

    The format is ConsumerProtocolAssignment.json of Apache Kafka: a version, then
    topics with their partitions.
    """
    if not assignment:
        return []
    (topics,) = _COUNT.unpack_from(assignment, _VERSION_BYTES)
    at = _VERSION_BYTES + _COUNT.size
    for _ in range(topics):
        (length,) = _LENGTH.unpack_from(assignment, at)
        name = assignment[at + _LENGTH.size : at + _LENGTH.size + length].decode()
        at += _LENGTH.size + length
        (n,) = _COUNT.unpack_from(assignment, at)
        found = struct.unpack_from(f">{n}i", assignment, at + _COUNT.size)
        if name == topic:
            return list(found)
        at += _COUNT.size * (1 + n)
    return []


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
