"""Find partitions that no member of the group owns, and make the group assign them again.

A cooperative rebalance moves a partition in two steps: its owner gives it up and
joins again, and then the next owner gets it. A static member that is killed
between the two returns to its old share without a rebalance (KIP-345). Then the
second step never happens, and nobody consumes the partition until the group
changes for another reason. So each detector asks the coordinator regularly who
owns what. If a stable group leaves a partition out, one detector triggers a
rebalance: a temporary member, the guest, joins and leaves.
"""

from __future__ import annotations

import logging
import struct
import threading
from typing import TYPE_CHECKING, Any

import structlog
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from services.streams.clients import ATTEMPT_SECONDS, Certificates, client_config
from services.threads import StoppableThread

if TYPE_CHECKING:
    from services.streams.stream import Stream

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 2.0
# A group is stable if two checks in a row find it so; a rebalance is shorter than the interval.
LOOKS = 2
# How long the guest waits to become a member: two heartbeats and a little more.
GUEST_SECONDS = 3.0

_VERSION_BYTES = 2
_LENGTH, _COUNT = struct.Struct(">h"), struct.Struct(">i")


class OwnershipWatch(StoppableThread):
    """Watches the group of a stream from its own thread."""

    def __init__(self, stream: Stream) -> None:
        super().__init__("ownership")
        self._stream = stream

    def stop(self) -> None:
        """Stop the thread; does not wait for a check that is running."""
        self.stopping.set()

    def run(self) -> None:
        """Look at the group at intervals."""
        admin = None
        looks = 0
        certificates = Certificates(self._stream.settings)
        while not self.stopping.wait(LOOK_EVERY_SECONDS):
            try:
                if admin is None or certificates.renewed():
                    certificates = Certificates(self._stream.settings)
                    config = client_config(self._stream.settings, self._stream.client_id)
                    admin = AdminClient(config, logger=logging.getLogger("librdkafka"))
                without, first = self._look(admin)
                looks = looks + 1 if without else 0
                if looks >= LOOKS:
                    looks = 0
                    log.warning("partitions without an owner", partitions=sorted(without))
                    if first:
                        _visit(self._stream)
            except Exception as error:  # noqa: BLE001 - the loop has the same problem, and logs it
                log.debug("group not described", reason=repr(error))
                admin = None

    def _look(self, admin: AdminClient) -> tuple[set[int], bool]:
        """Return the partitions without an owner, and whether this member is the group's first."""
        # describe_consumer_groups is not used: librdkafka 2.16 aborts the process when a broker
        # goes away during the call (seen: rd_kafka_enq_once_del_source_return: refcnt > 0).
        described = admin.list_groups(self._stream.group, ATTEMPT_SECONDS)
        topic = admin.list_topics(self._stream.topic, ATTEMPT_SECONDS).topics[self._stream.topic]
        for group in described:
            without = unowned(group, self._stream.topic, len(topic.partitions))
            if without:
                first = min(str(member.client_id) for member in group.members)
                return without, first == self._stream.client_id
        return set(), False


def unowned(group: Any, topic: str, partitions: int) -> set[int]:  # noqa: ANN401 - confluent-kafka types its GroupMetadata as always None
    """Return the partitions of a topic that no member of a stable group has."""
    if group.state != "Stable" or not group.members:
        return set()
    owned = {p for member in group.members for p in assigned(member.assignment, topic)}
    return set(range(partitions)) - owned


def assigned(assignment: bytes, topic: str) -> list[int]:
    """Parse a member's partitions of a topic from its assignment.

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
    """Join the group as a temporary member and leave again, so that it assigns all partitions."""
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
