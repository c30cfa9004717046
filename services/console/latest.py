"""The newest records of a topic, read by a thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import structlog
from confluent_kafka import KafkaException, TopicPartition

from services.records.reading import reader, tail_offset
from services.streams.clients import ATTEMPT_SECONDS, Certificates
from services.streams.processing import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, Message

    from services.settings import KafkaSettings
    from services.streams.clients import Config

log = structlog.get_logger()

T = TypeVar("T")
# Whether the topic can be read, and has more partitions, is looked at this often.
LOOK_SECONDS = 2.0
# Markers of transactions take offsets too: with one for each record, so many offsets hold a half.
_OFFSETS_FOR_A_RECORD = 4
# Little is read ahead, as only the newest count. What librdkafka would log, many lines for each
# attempt, is told on the page, and once in our own log.
_OPTIONS: Config = {
    "log_level": 2,
    "auto.offset.reset": "earliest",
    "queued.max.messages.kbytes": 8 * 1024,
    "fetch.message.max.bytes": 1024 * 1024,
}


class Trouble(NamedTuple):
    """Why the topic cannot be read, and since when, in seconds of the epoch."""

    since: float
    said: str


class Latest(Generic[T]):
    """Follows a topic from shortly before its end, in no group.

    Args:
        settings: where to connect.
        topic: that is read.
        keep: so many of the newest records are kept.
        shape: makes of a record what is kept of it.

    """

    def __init__(
        self, settings: KafkaSettings, topic: str, keep: int, shape: Callable[[Message], T]
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._keep = keep
        self._shape = shape
        # By partition and offset: when it was written, and what is kept of it.
        self._kept: dict[tuple[int, int], tuple[int, T]] = {}
        self.records: tuple[T, ...] = ()
        """From old to new, as the broker wrote them."""
        self.trouble: Trouble | None = Trouble(time.time(), "no broker has answered yet")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="latest", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread is there, which has to be from the start to the stop."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except KafkaException as error:
                said = error.args[0].str()
                if self.trouble is None or self.trouble.said != said:
                    log.warning("topic not read", topic=self._topic, reason=said)
                self.trouble = Trouble(self.trouble.since if self.trouble else time.time(), said)
                self._stop.wait(1.0)

    def _follow(self) -> None:
        """Read with one client until it is stopped, or its certificates are others.

        Raises:
            KafkaException: the topic cannot be read.

        """
        certificates = Certificates(self._settings)
        consumer = reader(self._settings, "fraud-console", _OPTIONS)
        known: set[int] = set()
        look_at = 0.0
        try:
            while not self._stop.is_set() and not certificates.renewed():
                if time.monotonic() >= look_at:
                    known |= self._look(consumer, known)
                    look_at = time.monotonic() + LOOK_SECONDS
                messages = [m for m in consumer.consume(500, 0.2) if m.error() is None]
                if messages:
                    self._take(messages)
        finally:
            consumer.close()

    def _look(self, consumer: Consumer, known: set[int]) -> set[int]:
        """Ask for the topic's partitions, and begin to read those that are not known."""
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
        # A producer may write any time; one in the future is not to stay in front of what comes.
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
