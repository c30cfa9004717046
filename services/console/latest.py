"""The newest records of a topic, read by a thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import structlog
from confluent_kafka import KafkaException, TopicPartition

from services.records.reading import reader, tail_offset
from services.streams.clients import ATTEMPT_SECONDS, Certificates
from services.streams.processing import place_of
from services.streams.tls import reason
from services.threads import StoppableThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, Message

    from services.settings import KafkaSettings
    from services.streams.clients import Config

log = structlog.get_logger()

T = TypeVar("T")
# Interval of the check whether the topic can be read and has more partitions.
LOOK_SECONDS = 2.0
# Transaction markers have offsets too: with one marker for each record, half of the offsets have
# records.
_OFFSETS_FOR_A_RECORD = 4
# Little is read ahead, because only the newest records count. librdkafka would log many lines for
# each failed attempt; the problem is shown on the page, and logged once.
_OPTIONS: Config = {
    "log_level": 2,
    "auto.offset.reset": "earliest",
    "queued.max.messages.kbytes": 8 * 1024,
    "fetch.message.max.bytes": 1024 * 1024,
}


class Trouble(NamedTuple):
    """The reason why the topic cannot be read, and since when, in seconds of the epoch."""

    since: float
    said: str


class Latest(StoppableThread, Generic[T]):
    """Follows a topic from shortly before its end, without a group.

    Args:
        settings: Kafka settings with the brokers' addresses.
        topic: Topic to read.
        keep: Number of newest records to keep.
        shape: Converts a record to the value that is kept.

    """

    def __init__(
        self, settings: KafkaSettings, topic: str, keep: int, shape: Callable[[Message], T]
    ) -> None:
        super().__init__("latest")
        self._settings = settings
        self._topic = topic
        self._keep = keep
        self._shape = shape
        # By partition and offset: the time it was written, and the value that is kept.
        self._kept: dict[tuple[int, int], tuple[int, T]] = {}
        self.records: tuple[T, ...] = ()
        """Values from old to new, by the times of their records."""
        self.trouble: Trouble | None = Trouble(time.time(), "no broker has answered yet")

    def run(self) -> None:
        """Follow the topic, with a new client after each failure."""
        while not self.stopping.is_set():
            try:
                self._follow()
            except KafkaException as error:
                said = reason(self._settings, error.args[0])
                if self.trouble is None or self.trouble.said != said:
                    log.warning("topic not read", topic=self._topic, reason=said)
                self.trouble = Trouble(self.trouble.since if self.trouble else time.time(), said)
                self.stopping.wait(1.0)

    def _follow(self) -> None:
        """Read with one client until the stop, or until certificates are renewed.

        Raises:
            KafkaException: The topic cannot be read.

        """
        certificates = Certificates(self._settings)
        consumer = reader(self._settings, "fraud-console", _OPTIONS)
        known: set[int] = set()
        look_at = 0.0
        try:
            while not self.stopping.is_set() and not certificates.renewed():
                if time.monotonic() >= look_at:
                    known |= self._look(consumer, known)
                    look_at = time.monotonic() + LOOK_SECONDS
                messages = [m for m in consumer.consume(500, 0.2) if m.error() is None]
                if messages:
                    self._take(messages)
        finally:
            consumer.close()

    def _look(self, consumer: Consumer, known: set[int]) -> set[int]:
        """Find the topic's partitions, and begin to read the new ones."""
        topic = consumer.list_topics(self._topic, ATTEMPT_SECONDS).topics[self._topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        new = set(topic.partitions) - known
        offset = tail_offset(_OFFSETS_FOR_A_RECORD * self._keep)
        if new:
            consumer.incremental_assign([TopicPartition(self._topic, p, offset) for p in new])
        self.trouble = None
        return new

    def _take(self, messages: list[Message]) -> None:
        # A producer may write any time; a record of the future must not stay the newest one.
        now_ms = time.time_ns() // 1_000_000
        placed = {place_of(message): message for message in messages}
        times = {at: min(message.timestamp()[1], now_ms) for at, message in placed.items()}
        times |= {at: written for at, (written, _) in self._kept.items()}
        newest = sorted(times, key=lambda at: (times[at], at))[-self._keep :]
        self._kept = {
            at: self._kept[at] if at in self._kept else (times[at], self._shape(placed[at]))
            for at in newest
        }
        self.records = tuple(kept for _, kept in self._kept.values())
