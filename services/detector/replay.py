"""Windows from the log: a partition's records are read again without being judged.

A second consumer reads them, beside the one of the stream. A `Rebuild` is the work for
one partition. It is complete when it has processed exactly the records that the stream
has processed.
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

from services.detector.places import Gap, later
from services.detector.stream_time import NEVER, block_of
from services.engine import Engine
from services.rules.numbering import Rows
from services.rules.partition_windows import PartitionWindows
from services.streams.clients import OUT_OF_LOG
from services.streams.epochs import Written
from services.streams.processing import Batch, place_of
from services.streams.unreadable import find_batch, is_unreadable
from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.detector.reading import Reader
    from services.detector.stream_time import Mark, StreamTime
    from services.rules import Ruleset
    from services.streams.stream import Stream

log = structlog.get_logger()

BATCH_RECORDS = 2000
CALL_SECONDS = 5.0
# How long a call waits for records.
WAIT_SECONDS = 0.02


def _offset(message: Message) -> int:
    return place_of(message)[1]


class Rebuild:
    """The windows of one partition for a ruleset, filled from the log up to an offset.

    Reading begins with a block of the stream time, at the latest with the block
    that was open at the mark. So every block votes as it did in the stream, and
    the stream time is the same, provided that the log has all of these records.

    Args:
        partition: Number of the partition.
        ruleset: Ruleset whose windows are built.
        mark: Stream time of the stream, and its open block. If that is `NEVER` and
            there are windows, the whole log is read.
        until: Offset at which the stream resumes.
        reader: Decides which records count.
        gap: Gap that the stream's windows have already.

    """

    def __init__(
        self,
        partition: int,
        ruleset: Ruleset,
        mark: Mark,
        until: int,
        reader: Reader,
        gap: Gap | None = None,
    ) -> None:
        self.partition = partition
        self.ruleset = ruleset
        self.windows = PartitionWindows(ruleset.windows, reader.max_late_ms)
        self._engine = Engine(ruleset)
        self.until = until
        self.next: int | None = None
        """The next offset to read; None until the first one is known."""
        self._reader = reader
        self._reach_ms = ruleset.windows.reach_ms + reader.max_late_ms + reader.max_future_ms
        self._mark = mark
        self._stream_time = reader.stream_time(until)
        self._ahead: list[Message] = []
        self._gap = gap
        self._log_cut = False

    @property
    def from_ms(self) -> int | None:
        """The earliest record timestamp that a future window can reach; None for the whole log.

        A future transaction is not earlier than stream time minus the allowed lateness; its
        window does not begin earlier than that minus the window's length; and a record's
        timestamp is not earlier than its event time minus the allowed future.

        A rebuild from this time on equals the stream's windows, although earlier votes are
        unknown: all earlier records have earlier timestamps, so their votes are at least a
        window and the lateness before the stream time. A transaction that is late by such a
        vote and not by a later one counts here and did not count in the stream, but no
        future window can reach it.
        """
        if self._mark.time_ms == NEVER:
            return None
        return max(self._mark.time_ms - self._reach_ms, 0)

    @property
    def windowless(self) -> bool:
        """True if only the stream time's open block has to be read."""
        return not self.ruleset.windows.values

    @property
    def reached(self) -> bool:
        """True if all records before `until` are processed."""
        return self.next is not None and self.next >= self.until and not self._due()

    @property
    def ahead(self) -> bool:
        """True if there are records that the stream has not reached."""
        return bool(self._ahead)

    @property
    def gap(self) -> Gap | None:
        """The gap in the windows, valid once the rebuild is complete."""
        return later(self._gap, Gap("RetentionTooShort") if self._log_cut else None)

    @property
    def stream_time(self) -> StreamTime:
        """The partition's stream time, valid once the rebuild is complete."""
        self._stream_time.time_ms = max(self._stream_time.time_ms, self._mark.time_ms)
        self._stream_time.ahead = 0  # the stream has counted them
        return self._stream_time

    def begin(self, start: int, low: int) -> None:
        """Begin with a block of the stream time.

        Args:
            start: First offset that a window can reach.
            low: First offset that is still in the log.

        """
        wanted = block_of(min(start, self._mark.block), self._reader.block_records)
        self.next = max(wanted, low)
        self._log_cut = self.next == low > 0
        self._stream_time = self._reader.stream_time(self.next)

    def skip(self, low: int) -> None:
        """Continue at the log's beginning, because the next records to read were deleted."""
        self.next = max(self.next or 0, low)
        self._log_cut = True

    def take(self, messages: list[Message]) -> None:
        """Process records, in order; those from `until` on are kept for later."""
        self.next = place_of(messages[-1])[1] + 1
        self._ahead += messages
        self.go_on()

    def go_on(self) -> None:
        """Process the kept records, up to `until`."""
        due = self._due()
        if not due:
            return
        messages, self._ahead = self._ahead[:due], self._ahead[due:]
        if self._log_cut:
            self._log_cut = False
            self._gap = later(self._gap, Gap("RetentionTooShort", messages[0].timestamp()[1]))
        read = self._reader.read(Batch.of(messages), {self.partition: self._stream_time})
        columns = read.with_names() if "id" in self.ruleset.reads else read.columns
        counted = self._engine.counted(columns, read.named)
        self.windows.take(Rows(columns), read.times_ms, counted)
        self.windows.forget_before(self._stream_time.time_ms, len(columns))
        metrics.REPLAYED.inc(len(messages))

    def _due(self) -> int:
        """Number of kept records before `until`."""
        if self._ahead and place_of(self._ahead[-1])[1] < self.until:
            return len(self._ahead)
        return bisect_left(self._ahead, self.until, key=_offset)


class Replay:
    """Reads the records for several rebuilds at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._topic = stream.topic
        self._config = {
            **stream.consumer_config(),
            "enable.partition.eof": True,
            # So that the log's end is reported at once, instead of half a second later.
            "fetch.wait.max.ms": 20,
        }
        self._config.pop("group.instance.id", None)
        self._logger = logging.getLogger("librdkafka")
        self._consumer: Consumer | None = None
        self._rebuilds: dict[int, Rebuild] = {}
        self._paused: set[int] = set()
        self._again = False  # all partitions must be assigned again

    def advance(self, rebuilds: Iterable[Rebuild], seconds: float) -> bool:
        """Read records for a bounded time; True if all rebuilds are complete.

        Args:
            rebuilds: The rebuilds; they may differ from those of the call before.
            seconds: Time limit, in seconds.

        """
        try:
            return self._advance({r.partition: r for r in rebuilds}, seconds)
        except KafkaException as error:
            log.warning("replay", reason=error.args[0].str())
            self.close()
            return False

    def end(self, partition: int) -> int:
        """One past the last offset of a partition, as a broker last answered; else below 0."""
        if self._consumer is None:
            return -1
        place = TopicPartition(self._topic, partition)
        _, high = self._consumer.get_watermark_offsets(place, cached=True)
        return high

    def first_from(self, partition: int, offset: int) -> Written | None:
        """Read the first record at or after an offset; None at the end of the log.

        Raises:
            KafkaException: The record does not arrive, or cannot be read.

        """
        try:
            return self._first_from(partition, offset)
        except KafkaException:
            # After some restarts of a broker, a client may not find it again (observed).
            self.close()
            raise

    def _first_from(self, partition: int, offset: int) -> Written | None:
        self._again = True
        consumer = self._open()
        consumer.assign([TopicPartition(self._topic, partition, offset)])
        deadline = time.monotonic() + CALL_SECONDS
        while time.monotonic() < deadline:
            message = consumer.poll(WAIT_SECONDS)
            if message is None or place_of(message)[0] != partition:
                continue
            error = message.error()
            if error is None or is_unreadable(message):
                return Written(place_of(message)[1], message.leader_epoch() or 0)
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
                return None
            if not error.retriable():
                raise KafkaException(error)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "read a record"))  # noqa: SLF001 - librdkafka's public name

    def close(self) -> None:
        """Close the consumer; a rebuild that is passed again continues where it was."""
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
        while left and time.monotonic() < deadline:
            self._assign(rebuilds)
            self._balance()
            messages = self._open().consume(BATCH_RECORDS, WAIT_SECONDS)
            self._hand_out(messages)
            left = [r for r in left if not r.reached]
        return not left

    def _hand_out(self, messages: list[Message]) -> None:
        """Pass each rebuild its records; the end of a partition counts as progress too."""
        ends: dict[int, int] = {}
        unreadable: dict[int, Message] = {}
        if any(map(Message.error, messages)):
            messages, ends, unreadable, out_of_log = _sorted_out(messages)
            for partition in out_of_log:
                self._skip(partition)
        batch = Batch.of(messages)
        for partition, begin, end in batch.runs:
            if rebuild := self._rebuilds.get(partition):
                rebuild.take(batch.messages[begin:end])
        for partition, end in ends.items():
            if rebuild := self._rebuilds.get(partition):
                rebuild.next = max(rebuild.next or 0, end)
        for partition, message in unreadable.items():
            if rebuild := self._rebuilds.get(partition):
                self._step_over(rebuild, message)

    def _step_over(self, rebuild: Rebuild, message: Message) -> None:
        """Continue after a batch that the client cannot read, as the stream did."""
        _, first = place_of(message)
        if first >= rebuild.until:
            rebuild.next = max(rebuild.next or 0, first)
            return
        batch = find_batch(self._stream, message, lambda: None)
        rebuild.next = batch.last + 1
        self._open().seek(TopicPartition(self._topic, rebuild.partition, rebuild.next))

    def _skip(self, partition: int) -> None:
        """Continue at the current beginning of the log."""
        place = TopicPartition(self._topic, partition)
        low, _ = self._open().get_watermark_offsets(place, CALL_SECONDS)
        if rebuild := self._rebuilds.get(partition):
            rebuild.skip(low)
        self._again = True

    def _begin(self, rebuild: Rebuild) -> None:
        """Find the first offset that a window can reach."""
        consumer = self._open()
        place = TopicPartition(self._topic, rebuild.partition)
        low, _ = consumer.get_watermark_offsets(place, CALL_SECONDS)
        if rebuild.windowless or rebuild.from_ms is None:
            rebuild.begin(rebuild.until if rebuild.windowless else low, low)
            return
        place.offset = rebuild.from_ms
        (found,) = consumer.offsets_for_times([place], CALL_SECONDS)
        if found.error is not None:
            raise KafkaException(found.error)
        rebuild.begin(found.offset if found.offset >= 0 else rebuild.until, low)

    def _assign(self, rebuilds: dict[int, Rebuild]) -> None:
        if rebuilds == self._rebuilds and not self._again:
            return
        self._rebuilds, self._again = rebuilds, False
        self._paused = set()
        self._open().assign(
            [
                TopicPartition(self._topic, p, OFFSET_BEGINNING if r.next is None else r.next)
                for p, r in rebuilds.items()
            ]
        )

    def _balance(self) -> None:
        """Pause rebuilds that are past the stream, or their next records would pile up."""
        ahead = {p for p, r in self._rebuilds.items() if r.ahead}
        consumer = self._open()
        if begin := ahead - self._paused:
            consumer.pause([TopicPartition(self._topic, p) for p in begin])
        for partition in self._paused - ahead:
            following = self._rebuilds[partition].next or 0
            place = TopicPartition(self._topic, partition, following)
            consumer.resume([place])
            # Without it, librdkafka 2.16 fetches only after its next tick (1.0 s, with it 4 ms).
            consumer.seek(place)
        self._paused = ahead

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._config, logger=self._logger)
        return self._consumer


def _sorted_out(
    messages: list[Message],
) -> tuple[list[Message], dict[int, int], dict[int, Message], list[int]]:
    """Separate records from the errors that consume() returns in their place.

    Returns:
        The records; the ends that were reached, by partition; the errors of batches that the
        client cannot read, by partition; and the partitions whose offset is not in the log.

    Raises:
        KafkaException: An error after which this consumer cannot continue.

    """
    records: list[Message] = []
    ends: dict[int, int] = {}
    unreadable: dict[int, Message] = {}
    out_of_log: list[int] = []
    for message in messages:
        error = message.error()
        if error is None:
            records.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's public name
            partition, offset = place_of(message)
            ends[partition] = offset
        elif is_unreadable(message):
            unreadable[place_of(message)[0]] = message
        elif error.code() in OUT_OF_LOG:
            out_of_log.append(place_of(message)[0])
        elif not error.retriable():
            raise KafkaException(error)
    return records, ends, unreadable, out_of_log
