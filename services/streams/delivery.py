"""The exactly-once loop: consume, judge, produce, and commit all of it as one Kafka transaction.

There is one way to recover, and it is the way of a restart after `kill -9`. A
new producer of the same identity settles with `init_transactions` what the old
one left open, and reading goes on from what was committed. (librdkafka has no
KIP-890; after an ambiguous commit a new producer with the same transactional.id
is the safe way on.) Where only the transaction failed (an abort, a commit that
a rebalance overtook, partitions that were lost) the consumer stays in its group
and is rewound; where the consumer failed, its `Session` ends and `run` begins
another.

Rebalances are no errors: partitions that are revoked are committed first.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, cast

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from services.streams.clients import Certificates
from services.streams.processing import Batch, Health, Processor
from services.telemetry import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from services.streams.processing import Headers
    from services.streams.stream import Stream

log = structlog.get_logger()

# Records a call of consume(). Sizes of 100 to 5,000 move CPU by 6 %.
BATCH_RECORDS = 2000
# Commit early when little comes, for latency, and late when much does, for throughput: a commit
# costs three requests, however many records are in it.
COMMIT_EARLY_SECONDS = 0.01
COMMIT_LATE_SECONDS = 0.1
COMMIT_RECORDS = 10_000
# So many in the early interval are much: 50,000 a second.
MUCH_RECORDS = 500
# How long an idle detector waits in one call. A record that comes ends the wait; partitions that
# are assigned do not, nor do rules that change.
IDLE_SECONDS = 0.05
# Every blocking call is bounded by this, so the loop's heartbeat goes on while a broker is away.
CALL_SECONDS = 5.0
# A new session waits this long first, so that a broker that refuses is not asked in a tight loop.
PAUSE_SECONDS = 0.5


class StreamError(Exception):
    """The stream cannot go on as it is configured; the text is one line for people."""


def run(stream: Stream, processor: Processor, stop: threading.Event, health: Health) -> None:
    """Run sessions until asked to stop.

    Raises:
        StreamError: no other session would fare better: another process has
            this instance id, or the client reports a fatal error of its own.

    """
    while not stop.is_set():
        session = Session(stream, processor, health)
        try:
            session.run(stop)
        except KafkaException as error:
            _refuse_if_final(error.args[0], stream)
            log.warning("session ended", reason=_said(error.args[0]), uncommitted=session.pending)
            stop.wait(PAUSE_SECONDS)
        finally:
            session.close()


class Session:
    """One consumer and one producer, from join to the first error."""

    def __init__(self, stream: Stream, processor: Processor, health: Health) -> None:
        self.pending = 0
        self._stream = stream
        self._processor = processor
        self._health = health
        self._since = 0.0
        self._positions: list[TopicPartition] = []
        self._assigned: list[TopicPartition] = []  # assignment() asks librdkafka's main thread
        # Nothing came from these since they were assigned or rewound: librdkafka still gives the
        # position from before, and committing that would lose records.
        self._unread: set[int] = set()
        self._taken_at = time.monotonic()
        self._lost_some = False
        self._busy = False
        self._failed: KafkaException | None = None
        self._certificates = Certificates(stream.settings)
        self._closing = False
        self._logger = logging.getLogger("librdkafka")
        self._producer = Producer(stream.producer_config(), logger=self._logger)
        self._consumer = Consumer(stream.consumer_config(), logger=self._logger)

    def run(self, stop: threading.Event) -> None:
        """Forward records until asked to stop, or until certificates are renewed; then commit.

        Raises:
            KafkaException: the session is over; what was not committed comes
                again in the next.

        """
        if not self._settle(stop):
            return
        self._consumer.subscribe(
            [self._stream.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        while not stop.is_set() and not self._certificates.renewed():
            self._health.tick()
            messages = self._take()
            try:
                if self._failed:
                    raise self._failed
                if messages:
                    self._forward(messages)
                if self.pending and (self.pending >= COMMIT_RECORDS or self._left() <= 0):
                    self._commit()
            except KafkaException as error:
                self._rewind(error, stop)
            if not self.pending:
                self._busy = self._processor.between_transactions(self._consumer)
        if self.pending:
            self._commit()
        if not stop.is_set():
            log.info("certificates renewed")

    def close(self) -> None:
        """Give up what is not committed and leave; a static member keeps its partitions."""
        self._closing = True
        self._health.assigned = False
        self._give_up()
        self._forget(self._assigned)
        self._consumer.close()
        self._health.tick()

    def _give_up(self) -> None:
        """Forget the transaction; the broker aborts it for the next producer."""
        if self.pending:
            metrics.KAFKA_TRANSACTIONS.labels("aborted").inc()
        self.pending = 0
        self._positions = []
        self._failed = None
        self._processor.aborted()
        self._producer.purge()

    def _rewind(self, error: KafkaException, stop: threading.Event) -> None:
        """Give up the transaction, and read again what was in it, as the same member of the group.

        A static member that comes back in the middle of a cooperative rebalance gets
        its old share, and the partitions that were to move belong to no one.

        Raises:
            KafkaException: there is no going on with this consumer.
            StreamError: nor with any other.

        """
        _refuse_if_final(error.args[0], self._stream)
        if time.monotonic() - self._taken_at > CALL_SECONDS:
            raise error  # the broker was away: a consumer not polled for so long may be fenced
        log.warning("transaction given up", reason=_said(error.args[0]), uncommitted=self.pending)
        self._give_up()
        stop.wait(PAUSE_SECONDS)
        self._producer = Producer(self._stream.producer_config(), logger=self._logger)
        if self._stream.exactly_once:
            self._producer.init_transactions(CALL_SECONDS)
        if not self._assigned:
            return
        for place in self._consumer.committed(self._assigned, CALL_SECONDS):
            if place.error is not None:
                raise KafkaException(place.error)
            if place.offset < 0:
                place.offset = OFFSET_BEGINNING
            self._consumer.seek(place)
            self._unread.add(place.partition)

    def _settle(self, stop: threading.Event) -> bool:
        """End what an earlier process of this identity left open.

        False when it was stopped meanwhile, or waits with certificates that were renewed.
        """
        while self._stream.exactly_once and not stop.is_set():
            self._health.tick()
            if self._certificates.renewed():
                log.info("certificates renewed")
                return False
            try:
                self._producer.init_transactions(CALL_SECONDS)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                log.info("waiting for the broker", reason=_said(error.args[0]))
            else:
                return True
        return not stop.is_set()

    def _take(self) -> list[Message]:
        """Fetch a batch: until it is full, or the next commit is due."""
        self._lost_some = False
        if self.pending:
            messages = self._consumer.consume(BATCH_RECORDS, max(self._left(), 0.0))
        else:
            first = self._consumer.poll(0 if self._busy else IDLE_SECONDS)
            self._taken_at = time.monotonic()
            if first is None:
                return []
            self._since = time.monotonic()
            messages = [first, *self._consumer.consume(BATCH_RECORDS - 1, COMMIT_EARLY_SECONDS)]
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages)
        if self._lost_some:
            # Fetched before a rebalance took their partition: another detector judges them.
            kept = {p.partition for p in self._assigned}
            messages = [message for message in messages if message.partition() in kept]
        self._taken_at = time.monotonic()
        return messages

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        """Sort out the errors that consume() hands over in the place of records.

        Raises:
            KafkaException: an error that this session does not survive.

        """
        for error in filter(None, map(Message.error, messages)):
            if error.fatal() or not error.retriable():
                raise KafkaException(error)
            log.warning("consumer", reason=_said(error))
        return [message for message in messages if message.error() is None]

    def _forward(self, messages: list[Message]) -> None:
        """Judge a batch and write it where it belongs, otherwise unchanged."""
        if not self.pending and self._stream.exactly_once:
            self._producer.begin_transaction()
        self.pending += len(messages)
        batch = Batch.of(messages)
        produce = self._producer.produce
        for (topic, added), value, key, timestamp, headers in zip(
            self._processor.process(batch),
            batch.values,
            map(Message.key, messages),
            batch.timestamps_ms,
            cast("Iterable[Headers | None]", map(Message.headers, messages)),
            strict=True,
        ):
            if added:
                headers = [*headers, *added] if headers else added  # noqa: PLW2901 - most have none
            try:
                produce(topic, value, key, -1, None, None, timestamp, headers)
            except BufferError:
                # Swallowing it and then committing would lose the record.
                self._produce_when_room(topic, value, key, timestamp, headers)
        # Asked here and not at the commit: a rebalance commits from within consume(), where
        # positions may already count records that were not handed over yet.
        positions = self._consumer.position(self._assigned)
        if self._unread:
            self._unread -= {partition for partition, _, _ in batch.runs}
            positions = [p for p in positions if p.partition not in self._unread]
        self._positions = [p for p in positions if p.offset >= 0]

    def _produce_when_room(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        timestamp: int,
        headers: Headers | None,
    ) -> None:
        while True:
            self._health.tick()
            self._producer.poll(0.05)
            try:
                self._producer.produce(topic, value, key, -1, None, None, timestamp, headers)
            except BufferError:
                continue
            return

    def _left(self) -> float:
        """Seconds until the next commit is due."""
        much = self.pending >= MUCH_RECORDS
        interval = COMMIT_LATE_SECONDS if much else COMMIT_EARLY_SECONDS
        return self._since + interval - time.monotonic()

    def _commit(self) -> None:
        """Make what was written and how far was read true together."""
        begun = time.monotonic()
        positions = [
            TopicPartition(p.topic, p.partition, p.offset, self._processor.note(p.partition))
            for p in self._positions
        ]
        if self._stream.exactly_once:
            self._producer.send_offsets_to_transaction(
                positions, self._consumer.consumer_group_metadata(), CALL_SECONDS
            )
            self._retry(self._producer.commit_transaction)
        else:
            if self._producer.flush(CALL_SECONDS):
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "flush"))  # noqa: SLF001 - librdkafka's public name
            self._consumer.commit(offsets=positions, asynchronous=False)
        self.pending = 0
        metrics.COMMIT_DURATION.observe(time.monotonic() - begun)
        metrics.KAFKA_TRANSACTIONS.labels("committed").inc()
        self._processor.committed()

    def _retry(self, call: Callable[[float], object]) -> None:
        """Call until it succeeds; librdkafka resumes a call that timed out.

        Raises:
            KafkaException: the transaction has to be given up.

        """
        for _ in range(3):
            self._health.tick()
            try:
                call(CALL_SECONDS)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                last = error
            else:
                return
        raise last

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._processor.assigned([p.partition for p in partitions])
        self._health.assigned = True
        self._assigned = self._assigned + partitions
        self._unread |= {p.partition for p in partitions}
        metrics.REBALANCES.labels("assigned").inc()
        log.info("partitions assigned", partitions=[p.partition for p in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels("revoked").inc()
        log.info("partitions revoked", partitions=[p.partition for p in partitions])
        if self.pending and not self._closing:
            try:
                self._commit()
            except KafkaException as error:  # raised in the loop, outside librdkafka's callback
                self._failed = error
        self._forget(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels("lost").inc()
        log.warning("partitions lost", partitions=[p.partition for p in partitions])
        self._forget(partitions)
        self._failed = KafkaException(KafkaError(KafkaError._FAIL, "partitions were lost"))  # noqa: SLF001 - librdkafka's public name

    def _forget(self, partitions: list[TopicPartition]) -> None:
        self._lost_some = True
        gone = {p.partition for p in partitions}
        self._assigned = [p for p in self._assigned if p.partition not in gone]
        self._positions = [p for p in self._positions if p.partition not in gone]
        self._unread -= gone
        self._processor.revoked(sorted(gone))


def _refuse_if_final(error: KafkaError, stream: Stream) -> None:
    # librdkafka hides the code of a fatal error behind _FATAL; its text stays.
    if error.code() == KafkaError.FENCED_INSTANCE_ID or "same group.instance.id" in error.str():
        raise StreamError(
            f"another detector has INSTANCE_ID {stream.instance_id!r}; give each its own"
        )


def _said(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
