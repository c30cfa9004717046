"""The state of each partition of the detector, and the ruleset that all of them are ready for.

A new partition waits until its windows are rebuilt. A ruleset with windows that do
not exist yet waits beside the stream until they are built. Its rules that need none of
these windows go into force at once; of the others the previous versions stay in force.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog
from confluent_kafka import KafkaException, TopicPartition

from services.detector.look_up import LookUp
from services.detector.places import Gap, Reason, later
from services.detector.replay import Rebuild, Replay
from services.rules.aggregates import Plan
from services.telemetry import metrics

if TYPE_CHECKING:
    from services.detector.reading import Reader
    from services.detector.stream_time import StreamTime
    from services.rules import Ruleset
    from services.rules.partition_windows import PartitionWindows
    from services.streams.commits import Commits
    from services.streams.group_consumer import GroupConsumer
    from services.streams.identity import TopicIdentity
    from services.streams.stream import Stream

log = structlog.get_logger()

# Longest duration of one turn: meanwhile the stream waits, or runs at half its rate.
TURN_SECONDS = 0.1
# How long to wait if the broker does not know the answer yet, or does not answer.
ASK_AGAIN_SECONDS = 1.0
# Interval of the check for offsets at the log's end that no consumer is given.
PASSED_EVERY_SECONDS = 1.0
# How long lags are kept without a partition: one session ends and the next joins. An alert begins
# to wait again when its series is missing in a single scrape.
KEPT_SECONDS = 15.0


class Partition:
    """A partition whose records can be judged."""

    def __init__(self, windows: PartitionWindows, following: int, gap: Gap | None = None) -> None:
        self.windows = windows
        self.next = following
        """The offset after the last processed record."""
        self.committed = following
        """The committed offset."""
        self.begun_at: int | None = None
        """The consumer's position when the partition became ready, which may be an old one;
        None once it is not known any more."""
        self.gap = gap
        """The gap in the windows."""
        self.moved_to: int | None = None
        """The offset at which it became ready, while the committed one belongs to another log."""

    def take(self, timestamp_ms: int, stream_time_ms: int) -> None:
        """Handle the first record of a batch, before which the gap of the windows ends."""
        if self.gap is not None and self.gap.from_ms is None:
            self.gap = self.gap._replace(from_ms=max(timestamp_ms, stream_time_ms))


class Short(NamedTuple):
    """A partition whose windows lack records.

    `until_ms` is the stream time (epoch ms) from which on they are exact; None
    if that is not known yet, or never comes.
    """

    reason: Reason
    until_ms: int | None


class Partitions:
    """All partitions, and the ruleset that they are ready for.

    Args:
        stream: Stream that is read.
        ruleset: First ruleset.
        reader: Decides which records count.
        commits: Offsets that this process committed.

    """

    def __init__(self, stream: Stream, ruleset: Ruleset, reader: Reader, commits: Commits) -> None:
        self.ruleset = ruleset
        self.ready: dict[int, Partition] = {}
        self.stream_times: dict[int, StreamTime] = {}
        """The partitions that are ready, by number."""
        self.warming: tuple[str, ...] = ()
        """Rules whose newest version waits for its windows."""
        self._warm = False  # all were ready once, and some have been since
        self._topic = stream.topic
        self._reader = reader
        self._replay = Replay(stream)
        self._new: list[int] = []
        self._cold: dict[int, Rebuild] = {}
        self._wanted = ruleset
        self._target: Ruleset | None = None
        self._rebuilds: dict[int, Rebuild] = {}
        self._ask_at = 0.0
        self._begun: list[int] = []
        self._look = LookUp(stream, self._replay, reader.block_records, commits)
        # By partition: one past the log's last offset, as of the last look-up.
        self._ends: dict[int, int] = {}
        # By partition: the committed offset as of the last look-up.
        self._committed: dict[int, int] = {}
        self._passed_at = 0.0
        self._lags: dict[tuple[str, ...], float] = {}
        self._offsets: dict[tuple[str, ...], float] = {}
        self._kept_until = 0.0

    def assigned(self, partitions: list[int]) -> None:
        """Start with partitions."""
        self._new += partitions

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        for partition in partitions:
            for known in (
                self.ready,
                self.stream_times,
                self._cold,
                self._rebuilds,
                self._ends,
                self._committed,
            ):
                known.pop(partition, None)
        self._new = [p for p in self._new if p not in partitions]
        self._begun = [p for p in self._begun if p not in partitions]
        self._warm = self._warm and bool(self.ready)

    def turn(self, consumer: GroupConsumer, wanted: Ruleset) -> bool:
        """Work on partitions and rulesets that are not ready.

        Args:
            consumer: Consumer of the stream; partitions are fetched when they are ready.
            wanted: Ruleset that should be in force.

        Returns:
            True if there is more work to do at once.

        """
        if self._new and time.monotonic() >= self._ask_at:
            self._look_up(consumer)
        if self._cold:
            self._warm_up(consumer)
        if self._begun and not self._new and not self._cold:
            log.info("partitions ready", partitions=sorted(self._begun))
            self._begun, self._warm = [], True
        if self._cold:
            return True
        if wanted is not self._wanted:
            self._want(wanted)
        return self._target is not None and self._prepare(self._target)

    @property
    def rebuilding(self) -> bool:
        """True until the windows of its first partitions are there; later ones do not count.

        When a pod is drained, the others take over its partitions. If they were not ready
        meanwhile, the disruption budget would let them be evicted too.
        """
        return bool(self._new or self._cold) and not self._warm

    @property
    def topic(self) -> TopicIdentity | None:
        """The topic of the partitions, as of the last look-up."""
        return self._look.topic

    @property
    def short(self) -> dict[int, Short]:
        """The partitions whose windows lack records."""
        windows = self.ruleset.windows
        if not windows.values:
            return {}
        reach_ms = windows.reach_ms + self._reader.max_late_ms + self._reader.max_future_ms
        found = {}
        for number, partition in self.ready.items():
            gap = partition.gap
            if self._look.compacted:
                found[number] = Short("TopicCompacted", None)
            elif gap is not None and gap.from_ms is None:
                found[number] = Short(gap.reason, None)
            elif gap is not None and gap.from_ms is not None:
                until_ms = gap.from_ms + reach_ms
                if until_ms > self.stream_times[number].time_ms:
                    found[number] = Short(gap.reason, until_ms)
        return found

    def compare(self, now: TopicIdentity) -> bool:
        """Compare the topic with its earlier state; False if it is another topic.

        If it has more partitions than before, all windows have a gap.
        """
        before = self._look.topic
        if before is None or before.topic_id != now.topic_id:
            return before is None
        self._note_added(before, now)
        self._look.topic = now
        return True

    def passed(
        self, consumer: GroupConsumer, unread: set[int], uncommitted: set[int]
    ) -> list[TopicPartition]:
        """Find partitions with nothing left to judge before an offset after the committed one.

        A log can end with offsets that no consumer is given: markers of transactions,
        and aborted records. The consumer's position moves past them.

        Args:
            consumer: Consumer of the stream, all of whose records are committed.
            unread: Partitions without a record since they were assigned or rewound.
            uncommitted: Partitions with records that will be read again.

        Returns:
            Offsets to commit; empty between two checks.

        """
        if time.monotonic() < self._passed_at:
            return []
        self._passed_at = time.monotonic() + PASSED_EVERY_SECONDS
        asked = [TopicPartition(self._topic, n) for n in self.ready if n not in uncommitted]
        found = []
        for position in consumer.position(asked):
            partition = self.ready[position.partition]
            # The client returns its old position until a record arrives from the new one.
            known = position.partition not in unread or (
                partition.begun_at is not None and position.offset != partition.begun_at
            )
            epoch = -1
            if known and position.offset >= partition.next:
                partition.next = position.offset
                epoch = -1 if position.leader_epoch is None else position.leader_epoch
            if partition.next != partition.committed:
                place = self._topic, position.partition, partition.next
                found.append(TopicPartition(*place, leader_epoch=epoch))
        return found

    def look_up_again(self, consumer: GroupConsumer, partitions: list[int]) -> None:
        """Find again where forgotten partitions resume, and fetch none before."""
        consumer.drop(partitions)
        self.assigned(partitions)

    def close(self) -> None:
        """Close the replay's consumer."""
        self._replay.close()

    def _look_up(self, consumer: GroupConsumer) -> None:
        """Find where the new partitions resume."""
        before = self._look.topic
        try:
            found = self._look.find(consumer, self._new)
        except KafkaException as error:
            log.info("waiting for the offset to resume at", reason=error.args[0].str())
            found = []
        # Measured from the answer: without a leader, each request takes its full timeout.
        self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
        if before is not None and self._look.topic is not None:
            self._note_added(before, self._look.topic)
        for one in found:
            self._new.remove(one.partition)
            self._ends[one.partition] = one.end
            self._committed[one.partition] = one.committed
            offset = one.place.offset
            rebuild = Rebuild(
                one.partition, self.ruleset, one.mark, offset, self._reader, one.place.gap
            )
            if one.fresh:
                rebuild.begin(offset, offset)
                self._start(consumer, rebuild)
            else:
                self._cold[one.partition] = rebuild
        if not self._new:
            self._ask_at = 0.0

    def _note_added(self, before: TopicIdentity, now: TopicIdentity) -> None:
        """Record a gap: when partitions are added, keys move away from their windows."""
        if before.partitions < now.partitions:
            for partition in self.ready.values():
                partition.gap = Gap("PartitionsAdded")

    def _warm_up(self, consumer: GroupConsumer) -> None:
        """Rebuild the windows of waiting partitions."""
        done = self._replay.advance(self._cold.values(), TURN_SECONDS)
        for partition, rebuild in list(self._cold.items()):
            if rebuild.reached:
                del self._cold[partition]
                self._start(consumer, rebuild)
        if done:
            self._replay.close()

    def _start(self, consumer: GroupConsumer, rebuild: Rebuild) -> None:
        number = rebuild.partition
        begun = self.ready[number] = Partition(rebuild.windows, rebuild.until, rebuild.gap)
        begun.committed = self._committed[number]
        begun.moved_to = begun.next if begun.next != begun.committed else None
        self.stream_times[number] = rebuild.stream_time
        self._say_if_short(number)
        self._begun.append(number)
        consumer.fetch(number, rebuild.until)
        (position,) = consumer.position([TopicPartition(self._topic, number)])
        begun.begun_at = position.offset

    def _want(self, wanted: Ruleset) -> None:
        """Put into force what is ready, and begin to build the windows for the rest."""
        self._wanted = wanted
        self._target, self._rebuilds = None, {}
        self._replay.close()
        there = set(self.ruleset.windows.values)
        before = {compiled.rule.name: compiled for compiled in self.ruleset.rules}
        rules, warming = [], []
        for compiled in wanted.rules:
            if compiled.rule.spec.mode == "Disabled" or there.issuperset(compiled.values.values()):
                rules.append(compiled)
                continue
            warming.append(compiled.rule.name)
            if last := before.get(compiled.rule.name):
                rules.append(last)
        self.warming = tuple(warming)
        live = [c for c in rules if c.rule.spec.mode != "Disabled"]
        sources = {value.source for c in live for value in c.values.values()}
        kept = Plan(tuple(v for v in self.ruleset.windows.values if v.source in sources))
        for partition in self.ready.values():
            partition.windows.keep(kept)
        same = not warming and kept == wanted.windows
        self.ruleset = wanted if same else wanted.with_windows(rules, kept)
        if warming:
            self._target = wanted
            log.info("rules wait for their windows", rules=warming)

    def _prepare(self, target: Ruleset) -> bool:
        """Build the windows of a ruleset beside the stream, and switch once all are built."""
        for number, partition in self.ready.items():
            rebuild = self._rebuilds.get(number)
            if rebuild is None:
                rebuild = self._rebuilds[number] = Rebuild(
                    number, target, self.stream_times[number].mark, partition.next, self._reader
                )
            rebuild.until = partition.next
        if not self._replay.advance(self._rebuilds.values(), TURN_SECONDS):
            return True
        for number, rebuild in self._rebuilds.items():
            partition = self.ready[number]
            partition.windows, partition.gap = rebuild.windows, later(partition.gap, rebuild.gap)
        self.ruleset = target
        for number in self._rebuilds:
            self._say_if_short(number)
        self.warming = ()
        self._target, self._rebuilds = None, {}
        self._replay.close()
        return False

    def _say_if_short(self, number: int) -> None:
        if short := self.short.get(number):
            log.warning(
                "the windows lack records",
                partition=number,
                reason=short.reason,
                exact_from_ms=short.until_ms,
            )

    def measure(self, consumer: GroupConsumer) -> None:
        """Set the metrics of windows and of lag, without a request to the broker."""
        windows = [partition.windows for partition in self.ready.values()]
        metrics.WINDOW_ENTRIES.set(sum(w.entries for w in windows))
        metrics.WINDOW_BYTES.set(sum(w.nbytes for w in windows))
        for stream_time in self.stream_times.values():
            metrics.AHEAD.inc(stream_time.ahead)
            stream_time.ahead = 0
        metrics.WINDOWS_SHORT.set(len(self.short))
        metrics.WINDOWS_REBUILDING.set(len(self._cold) + len(self._rebuilds))
        committed = {number: partition.committed for number, partition in self.ready.items()}
        committed |= {number: self._committed[number] for number in self._cold}
        if committed or self._new:
            self._kept_until = time.monotonic() + KEPT_SECONDS
        elif time.monotonic() < self._kept_until:
            return
        # A partition that is looked up keeps its last values.
        waiting = {(self._topic, str(number)) for number in self._new}
        lags: dict[tuple[str, ...], float] = {k: v for k, v in self._lags.items() if k in waiting}
        offsets: dict[tuple[str, ...], float] = {
            k: v for k, v in self._offsets.items() if k in waiting
        }
        for number, offset in committed.items():
            place = TopicPartition(self._topic, number)
            # Of a partition that waits, only the look-up and the replay know the end.
            _, high = consumer.get_watermark_offsets(place, cached=True)
            high = max(high, self._ends.get(number, 0), self._replay.end(number))
            lags[self._topic, str(number)] = max(high - offset, 0)
            offsets[self._topic, str(number)] = offset
        self._lags, self._offsets = lags, offsets
        metrics.set_all(metrics.CONSUMER_LAG, lags)
        metrics.set_all(metrics.COMMITTED_OFFSET, offsets)
