"""Windows from the log: a partition's records are read again, and judged by no one.

A consumer of its own reads them, beside the one that the stream comes from. A
`Rebuild` is one partition on its way to the place where the stream is: it has
reached it when it has taken in all that the stream has, and nothing more.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from services.detector.reading import NEVER, name
from services.rules.partition_windows import PartitionWindows
from services.streams.clients import resume
from services.streams.processing import Batch, place_of
from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.detector.reading import Reader
    from services.rules import Ruleset
    from services.streams.stream import Stream

log = structlog.get_logger()

BATCH_RECORDS = 2000
CALL_SECONDS = 5.0
# How long a call waits for records that are on their way.
WAIT_SECONDS = 0.02


def _offset(message: Message) -> int:
    return place_of(message)[1]


class Rebuild:
    """The windows of one partition for a ruleset, fed from the log up to an offset.

    Args:
        partition: which.
        ruleset: whose windows.
        stream_time: of the partition where the stream is (epoch ms), NEVER
            where that is not known: then all of the log is read.
        until: the offset that the stream goes on from.
        reader: says which records count.

    """

    def __init__(
        self, partition: int, ruleset: Ruleset, stream_time: int, until: int, reader: Reader
    ) -> None:
        self.partition = partition
        self.ruleset = ruleset
        self.windows = PartitionWindows(ruleset.windows, reader.max_late_ms)
        self.until = until
        self.next: int | None = None
        """The next offset to be read; None before it is known where to begin."""
        self.short_until_ms: int | None = None
        """The stream time from which the windows are exact, where the log began too late."""
        self._reader = reader
        self._reach_ms = ruleset.windows.reach_ms + reader.max_late_ms + reader.max_future_ms
        self._known_stream_time = stream_time
        self._stream_times = {partition: NEVER}
        self._ahead: list[Message] = []
        self._log_cut = False

    @property
    def from_ms(self) -> int | None:
        """The earliest record timestamp that a window to come can reach; None for all of the log.

        A transaction to come is not earlier than stream time less the lateness,
        its window not than that less its length, and a record's own timestamp
        not than its event time less how far that may lie ahead.
        """
        if self._known_stream_time == NEVER:
            return None
        return max(self._known_stream_time - self._reach_ms, 0)

    @property
    def reached(self) -> bool:
        """Whether all before `until` is taken in."""
        return self.next is not None and self.next >= self.until and not self._due()

    @property
    def ahead(self) -> bool:
        """Whether records are held that the stream has not come to."""
        return bool(self._ahead)

    @property
    def stream_time(self) -> int:
        """The partition's stream time, as far as it is known."""
        return max(self._known_stream_time, self._stream_times[self.partition])

    def begin(self, start: int, low: int) -> None:
        """Begin at an offset; `low` is the first that the log still has."""
        self.next = start
        self._log_cut = start == low > 0

    def take(self, messages: list[Message]) -> None:
        """Take in records, in order; those from `until` on are kept for later."""
        self.next = place_of(messages[-1])[1] + 1
        self._ahead += messages
        self.go_on()

    def go_on(self) -> None:
        """Take in what was kept, up to `until`."""
        due = self._due()
        if not due:
            return
        messages, self._ahead = self._ahead[:due], self._ahead[due:]
        if self._log_cut:
            self._log_cut = False
            self.short_until_ms = messages[0].timestamp()[1] + self._reach_ms
        batch = Batch.of(messages)
        read = self._reader.read(batch, self._stream_times)
        if "id" in self.ruleset.reads:
            name(read.transactions, read.messages(batch))
        counted = self.ruleset.counted(read.transactions)
        self.windows.take(read.transactions, read.times_ms, counted)
        metrics.REPLAYED.inc(len(messages))

    def _due(self) -> int:
        """How many of the records that are held come before `until`."""
        if self._ahead and place_of(self._ahead[-1])[1] < self.until:
            return len(self._ahead)
        return bisect_left(self._ahead, self.until, key=_offset)


class Replay:
    """Reads for some rebuilds at a time."""

    def __init__(self, stream: Stream) -> None:
        self._topic = stream.topic
        self._config = {
            **stream.consumer_config(),
            "enable.partition.eof": True,
            # An answer at once where the log ends, instead of half a second later.
            "fetch.wait.max.ms": 20,
        }
        del self._config["group.instance.id"]
        self._logger = logging.getLogger("librdkafka")
        self._consumer: Consumer | None = None
        self._rebuilds: dict[int, Rebuild] = {}
        self._paused: set[int] = set()

    def advance(self, rebuilds: Iterable[Rebuild], seconds: float) -> bool:
        """Read on, for some time at most; whether all have reached where they go.

        The rebuilds are those of before with others, or fewer.
        """
        try:
            return self._advance({r.partition: r for r in rebuilds}, seconds)
        except KafkaException as error:
            log.warning("replay", reason=error.args[0].str())
            self.close()
            return False

    def close(self) -> None:
        """Read nothing more; a rebuild goes on where it was when it comes again."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None
        self._rebuilds = {}
        self._paused = set()

    def _advance(self, rebuilds: dict[int, Rebuild], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        for rebuild in rebuilds.values():
            rebuild.go_on()
            if rebuild.next is None:
                self._begin(rebuild)
        left = [r for r in rebuilds.values() if not r.reached]
        if left:
            self._assign(rebuilds)
        while left and time.monotonic() < deadline:
            self._balance()
            messages = self._open().consume(BATCH_RECORDS, WAIT_SECONDS)
            self._hand_out(messages)
            left = [r for r in left if not r.reached]
        return not left

    def _hand_out(self, messages: list[Message]) -> None:
        """Give each rebuild its records; the end of a partition is as good as one."""
        ends: dict[int, int] = {}
        for message in messages if any(map(Message.error, messages)) else ():
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
                partition, offset = place_of(message)
                ends[partition] = offset
            elif not error.retriable():
                raise KafkaException(error)
        if ends:
            messages = [message for message in messages if message.error() is None]
        batch = Batch.of(messages)
        for partition, begin, end in batch.runs:
            if rebuild := self._rebuilds.get(partition):
                rebuild.take(batch.messages[begin:end])
        for partition, end in ends.items():
            if rebuild := self._rebuilds.get(partition):
                rebuild.next = max(rebuild.next or 0, end)

    def _begin(self, rebuild: Rebuild) -> None:
        """Find the first offset that a window can reach."""
        consumer = self._open()
        place = TopicPartition(self._topic, rebuild.partition)
        low, _ = consumer.get_watermark_offsets(place, CALL_SECONDS)
        if rebuild.from_ms is None:
            rebuild.begin(low, low)
            return
        place.offset = rebuild.from_ms
        (found,) = consumer.offsets_for_times([place], CALL_SECONDS)
        if found.error is not None:
            raise KafkaException(found.error)
        rebuild.begin(found.offset if found.offset >= 0 else rebuild.until, low)

    def _assign(self, rebuilds: dict[int, Rebuild]) -> None:
        if rebuilds == self._rebuilds:
            return
        self._rebuilds = rebuilds
        self._paused = set()
        self._open().assign(
            [
                TopicPartition(self._topic, p, OFFSET_BEGINNING if r.next is None else r.next)
                for p, r in rebuilds.items()
            ]
        )

    def _balance(self) -> None:
        """Let those wait that are ahead of the stream, or all that comes next would be held."""
        ahead = {p for p, r in self._rebuilds.items() if r.ahead}
        consumer = self._open()
        if begin := ahead - self._paused:
            consumer.pause([TopicPartition(self._topic, p) for p in begin])
        for partition in self._paused - ahead:
            following = self._rebuilds[partition].next or 0
            resume(consumer, TopicPartition(self._topic, partition, following))
        self._paused = ahead

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._config, logger=self._logger)
        return self._consumer
