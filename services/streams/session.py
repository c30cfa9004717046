"""One consumer and one producer, from join to the first error: the loop itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.streams import tls
from services.streams.accessors import UNREADABLE, headers_of
from services.streams.calls import CallOverdueError, Calls
from services.streams.clients import Certificates
from services.streams.identity import (
    TopicRecreatedError,
    ask_for_topic,
    identity_of,
    topic_admin,
)
from services.streams.input import Input, words
from services.streams.limit import COMMIT_EARLY_SECONDS
from services.streams.output import CALL_SECONDS, Output, RecordRejectedError
from services.streams.processing import Batch, Health, Processor, place_of
from services.streams.stream import StreamError, raise_if_final
from services.streams.unreadable import find_batch
from services.telemetry import metrics

if TYPE_CHECKING:
    import threading

    from services.streams.delivery import Memory
    from services.streams.stream import Stream
    from services.streams.undeliverable import Place

log = structlog.get_logger()

# Records of one call of consume(). Sizes from 100 to 5,000 change the CPU time by 6 %.
BATCH_RECORDS = 2000
# How long an idle detector waits in one call. A new record ends the wait; newly assigned
# partitions and changed rules do not.
IDLE_SECONDS = 0.05
# A new session waits this long first, so that a broker that rejects it is not asked too often.
PAUSE_SECONDS = 0.5


class Session:
    """One consumer and one producer, from join to the first error."""

    def __init__(
        self, stream: Stream, processor: Processor, health: Health, calls: Calls, memory: Memory
    ) -> None:
        self.pending = 0
        self._pending_bytes = 0
        self._stream = stream
        self._processor = processor
        self._health = health
        self._calls = calls
        self._limit = memory.limit
        self._undeliverable = memory.undeliverable
        self._commits = memory.commits
        self._since = 0.0
        self._positions: list[TopicPartition] = []
        self._last: Place = (0, 0)
        self._taken_at = time.monotonic()
        self._busy = False
        self._failed: KafkaException | CallOverdueError | TopicRecreatedError | None = None
        self._certificates = Certificates(stream.settings)
        self._closing = False
        self._output = self._new_output()
        self._admin = topic_admin(stream.settings)
        self._input = Input(stream, calls)
        self._consumer = self._input.consumer

    def run(self, stop: threading.Event) -> None:
        """Forward records until `stop` is set or certificates are renewed; then commit.

        Raises:
            KafkaException: The session is over; the next one reads uncommitted records
                again.
            CallOverdueError: The same, after a call that did not return.

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
                self._step_over()
                self._commit_if_due()
            except (KafkaException, RecordRejectedError) as error:
                self._recover(error, stop)
            except TopicRecreatedError as error:
                log.warning(str(error), topic=self._stream.topic)
                self._begin_again()
            if not self.pending:
                self._busy = self._processor.between_transactions(self._consumer)
        if self.pending:
            self._commit()
        if not stop.is_set():
            log.info("certificates renewed")

    def close(self) -> None:
        """Drop uncommitted work and leave; a static member keeps its partitions."""
        self._closing = True
        self._health.assigned = False
        self._abort()
        self._forget(self._input.assigned)
        self._input.close()
        # The consumer holds this session by its callbacks, so its clients do not end by themselves.
        clients: list[object] = [self._admin]
        del self._admin
        self._calls.destroy(clients)
        self._health.tick()

    def _abort(self) -> None:
        """Drop the transaction; the broker aborts it for the next producer."""
        if self.pending:
            metrics.KAFKA_TRANSACTIONS.labels("aborted").inc()
        self._clear()
        self._failed = None
        self._processor.aborted()
        self._output.close()

    def _new_output(self) -> Output:
        return Output(self._stream, self._calls, self._health.tick, watched=self._limit.searching)

    def _clear(self) -> None:
        self.pending = 0
        self._pending_bytes = 0
        self._positions = []

    def _recover(self, error: KafkaException | RecordRejectedError, stop: threading.Event) -> None:
        """Decide how the next transaction differs, and seek back.

        Raises:
            KafkaException: This consumer cannot continue.
            StreamError: Nor can any other one.

        """
        pending, pause = self.pending, 0.0
        rejection = self._output.rejection()
        if isinstance(error, RecordRejectedError):
            reason = str(error)
            self._reject(error.place, error.cause)
        elif rejection is not None:
            cause, places = rejection
            reason = words(cause)
            if pending == 1:
                places = {self._last}
            if len(places) == 1:
                self._reject(places.pop(), cause)
            else:
                self._limit.rejected(pending)
        else:
            raise_if_final(error.args[0], self._stream)
            if error.args[0].retriable():
                self._limit.too_slow(pending)
            if time.monotonic() - self._taken_at > CALL_SECONDS:
                raise error  # no broker answered: a consumer that was not polled may be fenced
            reason = words(error.args[0])
            # A rebalance has begun, and only proceeds while the consumer is polled.
            rebalancing = error.args[0].code() == KafkaError.ILLEGAL_GENERATION
            pause = 0.0 if rebalancing else PAUSE_SECONDS
        log.warning("transaction aborted", reason=reason, uncommitted=pending)
        self._rewind(pause, stop)

    def _reject(self, place: Place, cause: KafkaError | Exception) -> None:
        """Make a dead letter of a rejected record, or reduce one that was rejected too.

        Raises:
            StreamError: There is no part left to remove.

        """
        form = self._undeliverable.reject(place, cause)
        if form is None:
            raise StreamError(
                f"partition {place[0]}, offset {place[1]} of {self._stream.topic}: the dead-letter "
                f"topic rejects even an empty record ({cause}); set its max.message.bytes to 10000 "
                "or more, and its cleanup.policy to delete"
            )
        self._processor.undeliverable(place, form.rejection)

    def _rewind(self, pause: float, stop: threading.Event) -> None:
        """Abort the transaction and read its records again, as the same member of the group.

        A static member that joins again in the middle of a cooperative rebalance gets its old
        share, and nobody owns the partitions that were to move.

        Raises:
            KafkaException: This consumer cannot continue.

        """
        self._abort()
        stop.wait(pause)
        self._output = self._new_output()
        self._output.prepare()
        committed = self._input.rewind(self._commits)
        for partition, offset in self._processor.rewound(committed).items():
            self._consumer.seek(TopicPartition(self._stream.topic, partition, offset))

    def _begin_again(self) -> None:
        """Abort the transaction, and find again where to resume all partitions."""
        self._abort()
        self._output = self._new_output()
        self._output.prepare()
        partitions = self._input.partitions
        self._commits.forget(partitions)
        self._input.unread |= set(partitions)
        self._processor.look_up_again(self._consumer, partitions)

    def _settle(self, stop: threading.Event) -> bool:
        """Settle the transaction that an earlier process of this identity left open.

        Returns False if `stop` was set, or certificates were renewed during the wait.
        """
        while self._stream.exactly_once and not stop.is_set():
            self._health.tick()
            if self._certificates.renewed():
                log.info("certificates renewed")
                return False
            try:
                self._output.prepare()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                reason = tls.reason(self._stream.settings, error.args[0])
                log.warning("waiting for the broker", reason=reason)
            else:
                return True
        return not stop.is_set()

    def _take(self) -> list[Message]:
        """Fetch records until the batch is full or the next commit is due."""
        self._input.begin()
        most = min(BATCH_RECORDS, self._limit.records - self.pending)
        if self.pending:
            messages = self._consumer.consume(most, max(self._left(), 0.0))
        else:
            first = self._consumer.poll(0 if self._busy else IDLE_SECONDS)
            self._taken_at = time.monotonic()
            if first is None:
                return []
            self._since = time.monotonic()
            messages = [first]
            if most > 1:
                messages += self._consumer.consume(most - 1, COMMIT_EARLY_SECONDS)
        messages = self._input.sort_out(messages)
        self._taken_at = time.monotonic()
        return messages

    def _forward(self, messages: list[Message]) -> None:
        """Judge a batch and write its records to their topics, otherwise unchanged."""
        if not self.pending:
            self._output.begin()
        self.pending += len(messages)
        self._pending_bytes += sum(map(len, messages))
        batch = Batch.of(messages)
        self._last = place_of(messages[-1])
        headers, unreadable = headers_of(messages)
        for i in unreadable:
            self._processor.undeliverable(place_of(messages[i]), UNREADABLE)
        routes = self._processor.process(batch)
        if any(headers):
            self._processor.answer(routes, headers)
        self._output.write(batch, routes, headers, self._undeliverable)
        # Read here, not at the commit: a rebalance commits from within consume(), when
        # positions may already include records that were not returned yet.
        self._positions = self._input.positions(batch)

    def _step_over(self) -> None:
        """Write a dead letter for each batch that the client cannot read, and continue after it.

        Each has its own transaction, which begins when the end of the batch is found.

        Raises:
            KafkaException: The transaction must be aborted, or the broker does not answer.
            CallOverdueError: A call did not return.

        """
        if self._input.unreadable and self.pending:
            self._commit()
        for (partition, _), message in self._input.unreadable.items():
            if partition not in self._input.partitions:
                continue
            batch = find_batch(self._stream, message, self._health.tick)
            following = TopicPartition(self._stream.topic, partition, batch.last + 1)
            self._output.begin()
            self.pending = 1
            topic = self._processor.unreadable(partition, following.offset)
            self._output.write_headers(topic, batch.headers(message))
            self._positions = [following]
            self._commit()
            self._consumer.seek(following)
            self._input.unread.add(partition)

    def _left(self) -> float:
        """Seconds until the next commit is due, 0 or less once it is."""
        return self._limit.left(self.pending, self._pending_bytes, time.monotonic() - self._since)

    def _commit(self) -> None:
        """Commit the written records and the positions atomically."""
        begun = time.monotonic()
        positions = [
            TopicPartition(
                p.topic,
                p.partition,
                p.offset,
                self._processor.note(p.partition),
                # With it, a log that was truncated and written again is noticed (KIP-320).
                -1 if p.leader_epoch is None else p.leader_epoch,
            )
            for p in self._positions
        ]
        if self._stream.exactly_once:
            # The topic's id is read after the records and before the commit, so the commit belongs
            # to this topic, not to another one that was created under its name.
            asked = ask_for_topic(self._admin, self._stream.topic, CALL_SECONDS)
            self._output.send_offsets(positions, self._consumer.consumer_group_metadata())
            if not self._processor.same_topic(identity_of(asked, CALL_SECONDS)):
                raise TopicRecreatedError("the topic was deleted and created again")
            self._output.commit()
        else:
            self._output.flush()
            self._calls.within(
                CALL_SECONDS, self._consumer.commit, offsets=positions, asynchronous=False
            )
        seconds = time.monotonic() - begun
        self._limit.committed(self.pending, seconds)
        self._undeliverable.committed(positions)
        self._commits.committed(positions)
        self._clear()
        metrics.COMMIT_DURATION.observe(seconds)
        metrics.KAFKA_TRANSACTIONS.labels("committed").inc()
        self._processor.committed({p.partition: p.offset for p in positions})

    def _commit_if_due(self) -> None:
        """Commit if it is due; if nothing is pending, check partitions that do not move."""
        if self.pending and (self._left() <= 0 or self._input.out_of_log):
            self._commit()
        if self.pending:
            return
        if partitions := sorted(self._input.out_of_log):
            self._input.out_of_log.clear()
            self._input.unread.update(partitions)
            self._processor.look_up_again(self._consumer, partitions)
        elif positions := self._processor.passed(self._consumer, self._input.unread):
            self._positions = positions
            self._output.begin()
            self._commit()

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._consumer.acknowledge()
        if self._closing:
            return
        self._input.assign(partitions)
        self._processor.assigned([p.partition for p in partitions])
        self._health.assigned = True
        metrics.REBALANCES.labels("assigned").inc()
        log.info("partitions assigned", partitions=[p.partition for p in partitions])

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels("revoked").inc()
        log.info("partitions revoked", partitions=[p.partition for p in partitions])
        if self.pending and not self._closing:
            try:
                self._commit()
            except (KafkaException, CallOverdueError, TopicRecreatedError) as error:
                self._failed = error  # raised in the loop, not in librdkafka's callback
        self._take_away(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels("lost").inc()
        log.warning("partitions lost", partitions=[p.partition for p in partitions])
        self._take_away(partitions)
        self._failed = KafkaException(KafkaError(KafkaError._FAIL, "partitions were lost"))  # noqa: SLF001 - librdkafka's public name

    def _take_away(self, partitions: list[TopicPartition]) -> None:
        self._consumer.drop(place.partition for place in partitions)
        # Forgotten already: the thread of an overdue close() may come here late.
        if not self._closing:
            self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        gone = {p.partition for p in partitions}
        self._input.forget(gone)
        self._positions = [p for p in self._positions if p.partition not in gone]
        self._processor.revoked(sorted(gone))
