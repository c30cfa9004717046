"""Find where new partitions resume: the committed offset is compared with the log as it is now."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog
from confluent_kafka import KafkaException, TopicPartition

from services.detector import offset_metadata
from services.detector.places import Gap, Place, place
from services.detector.stream_time import NEVER, Mark
from services.streams.epochs import rewritten_from
from services.streams.identity import TopicIdentity, is_compacted, topic_admin, topic_identity
from services.telemetry import metrics

if TYPE_CHECKING:
    from confluent_kafka import Consumer
    from confluent_kafka.admin import AdminClient

    from services.detector.offset_metadata import OffsetMetadata
    from services.detector.replay import Replay
    from services.streams.commits import Commits
    from services.streams.stream import Stream

log = structlog.get_logger()

# A transaction that a dead detector left open hides the committed offset for a while. The stream
# waits during the request: a short time at first, and longer if the broker is slow.
ASK_SECONDS = 0.3
ASK_LONGEST_SECONDS = 2.0
CALL_SECONDS = 5.0
# A new leader may not know for a moment how far the log is committed. Only a log that ends before
# the committed offset this many times in a row has lost its end.
LOOKS = 3


class Found(NamedTuple):
    """Result of a look-up: where a partition resumes, and the mark to rebuild its stream time from.

    `committed` is the committed offset, or that of `place` if there is none. `fresh` partitions
    have no records before it that windows need. `end` is one past the log's last offset.
    """

    partition: int
    committed: int
    place: Place
    mark: Mark
    fresh: bool
    end: int


class LookUp:
    """Asks the broker about partitions.

    Args:
        stream: Stream whose topic is read.
        replay: Reads single records.
        block_records: Number of offsets in a block of the stream time.
        commits: Offsets that this process committed.

    """

    def __init__(
        self, stream: Stream, replay: Replay, block_records: int, commits: Commits
    ) -> None:
        self.topic: TopicIdentity | None = None
        """The topic as it was at the last look-up."""
        self.compacted = False
        """True if the topic is compacted, as far as this client may see that."""
        self._stream = stream
        self._replay = replay
        self._block_records = block_records
        self._commits = commits
        self._ask_seconds = ASK_SECONDS
        self._admin: AdminClient | None = None
        self._beyond: Counter[int] = Counter()
        # Partitions about which the last question had no answer.
        self._silent: set[int] = set()
        # Partitions of a topic that was created again, until each is found.
        self._recreated: set[int] = set()

    def find(self, consumer: Consumer, partitions: list[int]) -> list[Found]:
        """Find where partitions resume; those missing in the result must be looked up again.

        Raises:
            KafkaException: The broker does not answer, or the topic does not exist.

        """
        name = self._stream.topic
        asked = [TopicPartition(name, p) for p in sorted({0, *partitions})]
        try:
            committed = consumer.committed(asked, self._ask_seconds)
        except KafkaException:
            self._ask_seconds = min(2 * self._ask_seconds, ASK_LONGEST_SECONDS)
            raise
        self._ask_seconds = ASK_SECONDS
        known = self.topic
        topic = self._identify()
        # With a topic Kafka deletes the offsets that groups committed to it.
        if known is not None and known.topic_id != topic.topic_id:
            self._recreated.update(range(topic.partitions))
            self._commits.forget(range(topic.partitions))
        noted = {c.partition: offset_metadata.read(c.metadata) for c in committed if c.offset >= 0}
        before = max((m.partitions or 0 for m in noted.values()), default=0)
        # A detector that commits also writes the new number, with this gap.
        added = any(m.gap is not None and m.gap.reason == "PartitionsAdded" for m in noted.values())
        found = []
        # Those without a leader last: each question about one takes its longest time.
        committed.sort(key=lambda one: one.partition in self._silent)
        deadline = time.monotonic() + CALL_SECONDS
        for one in committed:
            if one.partition in partitions and one.error is None:
                if time.monotonic() > deadline:
                    break
                metadata = noted.get(one.partition, offset_metadata.OffsetMetadata())
                try:
                    log_ends = self._log(consumer, one.partition)
                    where = self._place(one, metadata, topic, log_ends)
                except KafkaException as error:
                    reason = error.args[0].str()
                    log.info("waiting for a partition", partition=one.partition, reason=reason)
                    self._silent.add(one.partition)
                    continue
                self._silent.discard(one.partition)
                if one.partition in self._recreated and where is not None and one.offset < 0:
                    where = Place(where.offset, Gap("TopicRecreated"), changed=True)
                if where is not None:
                    if where.gap is not None and where.gap.reason == "TopicRecreated":
                        self._commits.forget([one.partition])
                    self._commits.check(one)
                    self._recreated.discard(one.partition)
                    grown = 0 < before < topic.partitions or (one.offset < 0 and added)
                    found.append(
                        _found(one, metadata, where, log_ends, self._block_records, grown=grown)
                    )
        return found

    def _identify(self) -> TopicIdentity:
        try:
            # A new client after an error, which may be caused by a certificate that was renewed.
            self._admin = self._admin or topic_admin(self._stream.settings)
            topic = topic_identity(self._admin, self._stream.topic, CALL_SECONDS)
            if topic != self.topic:
                self.compacted = is_compacted(self._admin, self._stream.topic, CALL_SECONDS)
        except KafkaException:
            self._admin = None
            raise
        if self.compacted and topic != self.topic:
            log.warning(
                "the input topic is compacted, so windows miss the records that are removed: set "
                "its cleanup.policy to delete"
            )
        self.topic = topic
        return topic

    def _log(self, consumer: Consumer, number: int) -> tuple[int, int]:
        """Return the first offset of a partition, and one past its last."""
        low, high = consumer.get_watermark_offsets(
            TopicPartition(self._stream.topic, number), CALL_SECONDS
        )
        return low, high

    def _place(
        self,
        committed: TopicPartition,
        metadata: OffsetMetadata,
        topic: TopicIdentity,
        log_ends: tuple[int, int],
    ) -> Place | None:
        """Decide where a partition resumes; None if that is not certain yet."""
        number, offset, epoch = committed.partition, committed.offset, committed.leader_epoch
        low, high = log_ends
        same = metadata.topic_id in {None, topic.topic_id}
        if same and offset > high:
            self._beyond[number] += 1
            if self._beyond[number] < LOOKS:
                return None
        self._beyond.pop(number, None)
        rewritten = None
        end = min(offset, high)
        if same and low < end and epoch is not None and epoch >= 0:
            rewritten = rewritten_from(
                lambda start: self._replay.first_from(number, start), low, end, epoch
            )
        return place(offset, metadata, topic.topic_id, (low, high), rewritten)


def _found(
    committed: TopicPartition,
    metadata: OffsetMetadata,
    where: Place,
    log_ends: tuple[int, int],
    block_records: int,
    *,
    grown: bool,
) -> Found:
    """Report a difference between log and commit, and return where the partition resumes."""
    number = committed.partition
    recreated = False
    if where.gap is not None and where.changed:
        recreated = where.gap.reason == "TopicRecreated"
        log.error(
            "the log is not what was committed",
            partition=number,
            reason=where.gap.reason,
            committed=committed.offset,
            goes_on_at=where.offset,
            deleted_at_most=where.deleted,
        )
        metrics.LOG_CHANGED.labels(str(number), where.gap.reason).set_to_current_time()
        metrics.DELETED_UNJUDGED.inc(where.deleted)
    elif grown and (committed.offset < 0 or metadata.partitions is not None):
        log.warning("partitions were added, so keys may have moved", partition=number)
        where = where._replace(gap=Gap("PartitionsAdded"))
    if committed.offset < 0 or recreated:
        offset = committed.offset if committed.offset >= 0 else where.offset
        return Found(number, offset, where, Mark(NEVER, where.offset), fresh=True, end=log_ends[1])
    mark = metadata.mark(where.offset, block_records)
    return Found(number, committed.offset, where, mark, fresh=False, end=log_ends[1])
