"""The producing side of the loop: batches written and committed as Kafka transactions."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from itertools import repeat
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.streams.calls import CallOverdueError
from services.streams.processing import place_of
from services.streams.undeliverable import RECORD_ERRORS, size_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from confluent_kafka import TopicPartition

    from services.streams.calls import Calls
    from services.streams.processing import Batch, Headers, Route
    from services.streams.stream import Stream
    from services.streams.undeliverable import Place, Undeliverable

# Timeout of one request to the broker, so that the loop moves while a broker cannot be reached.
CALL_SECONDS = 5.0
# The broker aborts a transaction after 10 s (`transaction.timeout.ms`): a later commit cannot
# succeed.
COMMIT_SECONDS = 10.0
# A call is abandoned this long after its timeout, because librdkafka may ignore the timeout.
SLACK_SECONDS = 1.0

# Raised by produce() for a record that the client cannot represent.
_UNFIT = (ValueError, TypeError, OverflowError, UnicodeError, SystemError)


_topic, _added = itemgetter(0), itemgetter(1)


class RecordRejectedError(Exception):
    """The client rejected a record.

    Args:
        place: Partition and offset of the record.
        cause: Error of the client.

    """

    def __init__(self, place: Place, cause: KafkaError | Exception) -> None:
        super().__init__(str(cause))
        self.place = place
        self.cause = cause


class Output:
    """A producer of the stream's identity, replaced after every failure.

    Args:
        stream: Identity and settings of the stream.
        calls: Bounds the calls that may block.
        tick: Shows that the loop is alive.
        watched: Whether to remember the records that fail, which costs 0.2 µs a record.

    """

    def __init__(
        self, stream: Stream, calls: Calls, tick: Callable[[], None], *, watched: bool = False
    ) -> None:
        self._exactly_once = stream.exactly_once
        self._calls = calls
        self._tick = tick
        self._watched = watched
        self._abandoned = self._closed = False
        self._failures: list[tuple[KafkaError, Place | None]] = []
        config: dict[str, Any] = {
            **stream.producer_config(),
            "on_delivery": lambda error, _: self._note(None, error, _),
        }
        self._producer = Producer(config, logger=logging.getLogger("librdkafka"))

    def prepare(self) -> None:
        """End what an earlier producer of this identity left open.

        Raises:
            KafkaException: The broker rejected the request, or did not answer in time.
            CallOverdueError: The call of the client did not return.

        """
        if self._exactly_once:
            self._call(CALL_SECONDS, self._producer.init_transactions, CALL_SECONDS)

    def begin(self) -> None:
        """Begin a transaction."""
        if self._exactly_once:
            self._producer.begin_transaction()

    def write(
        self,
        batch: Batch,
        routes: list[Route],
        headers: Sequence[Headers | None],
        undeliverable: dict[Place, Undeliverable],
    ) -> None:
        """Write the records of a batch to their topics, otherwise unchanged.

        Args:
            batch: Records to write.
            routes: Output topic and added headers of each record.
            headers: Original headers of each record.
            undeliverable: Records that lose parts, by partition and offset.

        Raises:
            RecordRejectedError: The client cannot write one of the records.
            KafkaException: The transaction failed.

        """
        messages, values, timestamps = batch.messages, batch.values, batch.timestamps_ms
        keys = cast("list[bytes | None]", list(map(Message.key, messages)))
        if undeliverable:
            routes, values, keys, timestamps, headers = _reduced(
                batch, routes, keys, headers, undeliverable
            )
        topics = list(map(_topic, routes))
        joined = _joined(routes, headers) if any(headers) else list(map(_added, routes))
        callbacks = [partial(self._note, place_of(m)) for m in messages] if self._watched else None
        following = iter(values)
        # One C loop over columns. After an exception, it continues with the next record.
        writes = map(
            self._producer.produce,
            *(topics, following, keys, repeat(-1), callbacks or repeat(None), repeat(None)),
            *(timestamps, joined),
        )
        while True:
            try:
                deque(writes, maxlen=0)
            except BufferError:
                # Ignoring the error and then committing would lose the record.
                i = len(values) - length_hint(following) - 1
                on_delivery = callbacks[i] if callbacks else None
                self._produce_when_room(
                    *(topics[i], values[i], keys[i], -1, on_delivery, None),
                    *(timestamps[i], joined[i]),
                )
            except KafkaException as error:
                if error.args[0].code() not in RECORD_ERRORS:
                    raise
                failed = messages[len(values) - length_hint(following) - 1]
                raise RecordRejectedError(place_of(failed), error.args[0]) from None
            except _UNFIT as error:
                failed = messages[len(values) - length_hint(following) - 1]
                raise RecordRejectedError(place_of(failed), error) from None
            else:
                return

    def write_headers(self, topic: str, headers: Headers) -> None:
        """Write a record that has only headers."""
        self._produce_when_room(topic, None, None, -1, None, None, 0, headers)

    def _produce_when_room(self, *record: Any) -> None:  # noqa: ANN401 - arguments of produce()
        while True:
            self._tick()
            self._producer.poll(0.05)
            try:
                self._producer.produce(*record)
            except BufferError:
                continue
            return

    def _note(self, place: Place | None, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append((error, place))

    def send_offsets(self, positions: list[TopicPartition], group: Any) -> None:  # noqa: ANN401 - confluent-kafka's handle of a group
        """Add positions to the transaction.

        Args:
            positions: Next offset of each partition, with its metadata.
            group: Group metadata of the consumer, which fences zombies (KIP-447).

        Raises:
            KafkaException: The transaction must be aborted.
            CallOverdueError: The call did not return; the client must be abandoned.

        """
        self._call(
            CALL_SECONDS,
            self._producer.send_offsets_to_transaction,
            positions,
            group,
            CALL_SECONDS,
        )

    def commit(self) -> None:
        """Commit the records and the positions atomically.

        Raises:
            KafkaException: The transaction must be aborted.
            CallOverdueError: The call did not return; the client must be abandoned.

        """
        self._call(COMMIT_SECONDS, self._producer.commit_transaction, COMMIT_SECONDS)

    def flush(self) -> None:
        """Wait until all records are written, without a transaction.

        Raises:
            KafkaException: Some records were not written in time.

        """
        if self._call(COMMIT_SECONDS, self._producer.flush, COMMIT_SECONDS) or self._failures:
            raise KafkaException(
                self._failures[0][0]
                if self._failures
                else KafkaError(KafkaError._TIMED_OUT, "flush")  # noqa: SLF001 - librdkafka's public name
            )

    def rejection(self) -> tuple[KafkaError, set[Place]] | None:
        """Find the records that made the transaction fail.

        Returns:
            The broker's error and the records that it is about (empty if records were not
            watched); None if no record was the cause.

        """
        if not (self._abandoned or self._closed):
            self._producer.poll(0)
        rejected = [(e, place) for e, place in self._failures if e.code() in RECORD_ERRORS]
        if not rejected:
            return None
        return rejected[0][0], {place for _, place in rejected if place is not None}

    def close(self) -> None:
        """Drop uncommitted records; the broker aborts the transaction for the next producer.

        A client with an overdue call ends when that call returns, if it ever does.
        """
        if self._closed:
            return
        self._closed = True
        if not self._abandoned:
            self._producer.purge()
        clients: list[object] = [self._producer]
        del self._producer
        self._calls.destroy(clients)

    def _call(self, seconds: float, call: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - the type of the call's result
        try:
            return self._calls.within(seconds + SLACK_SECONDS, call, *args)
        except CallOverdueError:
            self._abandoned = True
            raise


def _joined(routes: list[Route], headers: Sequence[Headers | None]) -> list[Headers | None]:
    """Join the original headers of each record and those that it gains."""
    return [
        ([*own, *added] if own else added) if added else own
        for (_, added), own in zip(routes, headers, strict=True)
    ]


def _reduced(
    batch: Batch,
    routes: list[Route],
    keys: list[bytes | None],
    headers: Sequence[Headers | None],
    undeliverable: dict[Place, Undeliverable],
) -> tuple[
    list[Route], list[bytes | None], list[bytes | None], list[int], Sequence[Headers | None]
]:
    """Leave out the parts that outputs reject."""
    routes, values, timestamps, headers = (
        list(routes),
        list(batch.values),
        list(batch.timestamps_ms),
        list(headers),
    )
    for i, message in enumerate(batch.messages):
        one = undeliverable.get(place_of(message))
        if one is None:
            continue
        topic, added = routes[i]
        routes[i] = topic, [*(added or ()), *size_headers(message, headers[i], one.left_out)]
        if "timestamp" in one.left_out:
            timestamps[i] = 0  # to librdkafka, 0 means the current time
        if "value" in one.left_out:
            values[i] = None
        if "headers" in one.left_out:
            headers[i] = None
        if "key" in one.left_out:
            keys[i] = None
    return routes, values, keys, timestamps, headers
