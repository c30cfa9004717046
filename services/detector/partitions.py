"""What the detector has of each of its partitions, and the ruleset that all of them are ready for.

A partition that is taken on waits until its windows are rebuilt. A ruleset that
asks for windows that are not there waits beside the stream until they are; its
rules that need none of them go ahead, and of the others the versions before
go on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from services.detector.reading import NEVER
from services.detector.replay import Rebuild, Replay
from services.rules.aggregates import Plan
from services.streams.clients import resume
from services.telemetry import metrics

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from services.detector.reading import Reader
    from services.rules import Ruleset
    from services.rules.partition_windows import PartitionWindows
    from services.streams.stream import Stream

log = structlog.get_logger()

# How long one turn may take: the stream stands still meanwhile, or goes at half its pace.
TURN_SECONDS = 0.1
# A transaction that a dead detector left open keeps the committed offset unknown for a while: ask
# for so long, and again after so long.
ASK_SECONDS = 0.3
ASK_AGAIN_SECONDS = 1.0


class Note(msgspec.Struct, rename="camel", frozen=True):
    """What is kept with a committed offset: the partition's stream time there (epoch ms)."""

    stream_time: int


class Partition:
    """A partition whose records can be judged."""

    def __init__(self, windows: PartitionWindows, following: int) -> None:
        self.windows = windows
        self.next = following
        """The offset after the last record that was taken in."""
        self.short_until_ms: int | None = None


class Partitions:
    """Holds the partitions and the ruleset that they are ready for.

    Args:
        stream: that is read.
        ruleset: to begin with.
        reader: says which records count.

    """

    def __init__(self, stream: Stream, ruleset: Ruleset, reader: Reader) -> None:
        self.ruleset = ruleset
        self.ready: dict[int, Partition] = {}
        self.stream_times: dict[int, int] = {}
        """Of the partitions that are ready (epoch ms)."""
        self.warming: tuple[str, ...] = ()
        """Rules whose newest version waits for its windows."""
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

    def assigned(self, partitions: list[int]) -> None:
        """Take partitions on."""
        self._new += partitions

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        for partition in partitions:
            for known in (self.ready, self.stream_times, self._cold, self._rebuilds):
                known.pop(partition, None)
        self._new = [p for p in self._new if p not in partitions]
        self._begun = [p for p in self._begun if p not in partitions]

    def turn(self, consumer: Consumer, wanted: Ruleset) -> bool:
        """Go on with what is not ready; whether there is more to be done at once.

        Args:
            consumer: of the stream; partitions are resumed when they are ready.
            wanted: the ruleset that is to be in force.

        """
        if self._new and time.monotonic() >= self._ask_at:
            self._look_up(consumer)
        if self._cold:
            self._warm_up(consumer)
        if self._begun and not self.waiting:
            log.info("partitions ready", partitions=sorted(self._begun))
            self._begun = []
        if self._cold:
            return True
        if wanted is not self._wanted:
            self._want(wanted)
        return self._target is not None and self._prepare(self._target)

    @property
    def waiting(self) -> bool:
        """Whether partitions wait for their windows."""
        return bool(self._new or self._cold)

    @property
    def short(self) -> dict[int, int]:
        """The partitions whose log began too late, with the stream time (ms) when that is over."""
        return {
            number: partition.short_until_ms
            for number, partition in self.ready.items()
            if partition.short_until_ms is not None
            and partition.short_until_ms > self.stream_times[number]
        }

    def close(self) -> None:
        """Let go of the replay's consumer."""
        self._replay.close()

    def _look_up(self, consumer: Consumer) -> None:
        """Find where the new partitions stand."""
        self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
        asked = [TopicPartition(self._topic, p) for p in self._new]
        try:
            places = consumer.committed(asked, ASK_SECONDS)
        except KafkaException as error:
            log.info("waiting for committed offsets", reason=error.args[0].str())
            return
        self._ask_at = 0.0
        for place in places:
            if place.error is not None:
                self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
                continue
            self._new.remove(place.partition)
            stream_time = _stream_time(place)
            following = max(place.offset, 0)
            rebuild = Rebuild(place.partition, self.ruleset, stream_time, following, self._reader)
            if place.offset < 0 or not self.ruleset.windows.values:
                self._start(consumer, rebuild)
            else:
                self._cold[place.partition] = rebuild

    def _warm_up(self, consumer: Consumer) -> None:
        """Rebuild the windows of partitions that wait."""
        done = self._replay.advance(self._cold.values(), TURN_SECONDS)
        for partition, rebuild in list(self._cold.items()):
            if rebuild.reached:
                del self._cold[partition]
                self._start(consumer, rebuild)
        if done:
            self._replay.close()

    def _start(self, consumer: Consumer, rebuild: Rebuild) -> None:
        number = rebuild.partition
        self.ready[number] = Partition(rebuild.windows, rebuild.until)
        self.stream_times[number] = rebuild.stream_time
        self._say_if_short(rebuild)
        self._begun.append(number)
        offset = rebuild.until or OFFSET_BEGINNING
        resume(consumer, TopicPartition(self._topic, number, offset))

    def _want(self, wanted: Ruleset) -> None:
        """Take over what can be now, and begin to build what the rest needs."""
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
        """Build the windows of a ruleset beside the stream, and switch once all are there."""
        for number, partition in self.ready.items():
            rebuild = self._rebuilds.get(number)
            if rebuild is None:
                rebuild = self._rebuilds[number] = Rebuild(
                    number, target, self.stream_times[number], partition.next, self._reader
                )
            rebuild.until = partition.next
        if not self._replay.advance(self._rebuilds.values(), TURN_SECONDS):
            return True
        for number, rebuild in self._rebuilds.items():
            self.ready[number].windows = rebuild.windows
            self._say_if_short(rebuild)
        self.ruleset = target
        self.warming = ()
        self._target, self._rebuilds = None, {}
        self._replay.close()
        return False

    def _say_if_short(self, rebuild: Rebuild) -> None:
        self.ready[rebuild.partition].short_until_ms = rebuild.short_until_ms
        if rebuild.partition in self.short:
            log.warning(
                "the log begins too late for the windows: raise the topic's retention",
                partition=rebuild.partition,
                exact_from_ms=rebuild.short_until_ms,
            )

    def measure(self, consumer: Consumer) -> None:
        """Set the metrics of the windows, and of what is not judged yet, asking no broker."""
        windows = [partition.windows for partition in self.ready.values()]
        metrics.WINDOW_ENTRIES.set(sum(w.entries for w in windows))
        metrics.WINDOW_BYTES.set(sum(w.nbytes for w in windows))
        metrics.WINDOWS_SHORT.set(len(self.short))
        metrics.WINDOWS_REBUILDING.set(len(self._cold) + len(self._rebuilds))
        following = {number: partition.next for number, partition in self.ready.items()}
        following |= {number: rebuild.until for number, rebuild in self._cold.items()}
        lags: dict[tuple[str, ...], float] = {}
        for number, offset in following.items():
            place = TopicPartition(self._topic, number)
            _, high = consumer.get_watermark_offsets(place, cached=True)
            if high >= 0:
                lags[self._topic, str(number)] = max(high - offset, 0)
        metrics.set_all(metrics.CONSUMER_LAG, lags)


def read_note(text: str | None) -> int:
    """Read the stream time from an offset's metadata; NEVER where it has none."""
    try:
        return msgspec.json.decode(text or "", type=Note).stream_time
    except msgspec.MsgspecError:
        return NEVER


def write_note(stream_time: int) -> str:
    """Write an offset's metadata; "" for a partition without a stream time."""
    return "" if stream_time == NEVER else msgspec.json.encode(Note(stream_time)).decode()


def _stream_time(place: TopicPartition) -> int:
    return read_note(place.metadata) if place.offset >= 0 else NEVER
