"""The producer of the generator: keeps each record until the broker accepts or rejects it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, Message, Producer

from services.streams.clients import ATTEMPT_SECONDS, Certificates, client_config
from services.streams.tls import reason
from services.telemetry import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from services.generator.profile import Record
    from services.generator.settings import GeneratorSettings

log = structlog.get_logger()

# How long a stop, or the replacement of the producer, waits for acknowledgements.
FLUSH_SECONDS = 10.0
# Failures come in thousands; one line counts them all.
COMPLAIN_EVERY_SECONDS = 1.0
_ROOM_SECONDS = 0.05
_TAKEN_BACK = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001 - librdkafka's public names


class Sender:
    """An idempotent producer to one topic that counts sent, acknowledged and failed records.

    No record times out: it waits for a broker until the generator is stopped.

    Args:
        settings: Broker and topic.
        stop: Ends the wait for a broker that does not answer.
        tick: Called during waits.

    """

    def __init__(
        self, settings: GeneratorSettings, stop: threading.Event, tick: Callable[[], None]
    ) -> None:
        self.sent = self.acknowledged = self.failed = 0
        self._topic = settings.transactions_topic
        self._stop = stop
        self._tick = tick
        self._complained_at = 0.0
        self._moved_at = time.monotonic()
        self._taken_back: list[tuple[bytes | None, bytes | None]] = []
        self._settings = settings
        self._certificates = Certificates(settings)
        self._producer = self._open()

    def _open(self) -> Producer:
        return Producer(
            {
                **client_config(self._settings, "generator"),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # the same partition as Java's producers for a key
                "linger.ms": 5,
                "message.timeout.ms": 0,  # no limit
                "queue.buffering.max.messages": 100_000,
                # Acknowledged records are those that were sent, are not in flight, and did not
                # fail; a callback for each success would cost 1 µs a record.
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def send(self, records: Iterable[Record]) -> None:
        """Pass records to the producer, waiting for room; after a stop the rest is not sent.

        Raises:
            KafkaException: The producer cannot continue: the topic was deleted, or a fatal error.

        """
        topic, produce = self._topic, self._producer.produce
        for key, value in records:
            try:
                produce(topic, value, key)
            except BufferError:
                if not self._send_when_there_is_room(key, value):
                    break
                produce = self._producer.produce  # a new one if certificates were renewed
            self.sent += 1
        self._count()

    def wait(self, seconds: float) -> None:
        """Handle deliveries, for this long if there are none; react to renewed certificates."""
        self._producer.poll(seconds)
        self._count()
        if time.monotonic() - self._moved_at >= ATTEMPT_SECONDS:
            self._moved_at = time.monotonic()
            # The client reports no error for records that it still holds.
            said = reason(self._settings, KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - librdkafka's public name
            log.warning("waiting for Kafka", unacknowledged=len(self._producer), reason=said)
        if self._certificates.renewed():
            log.info("certificates renewed")
            self._replace_producer()

    def drain(self) -> None:
        """Wait until every record is acknowledged or failed, or the generator is stopped."""
        while len(self._producer) and not self._stop.is_set():
            self._tick()
            self.wait(_ROOM_SECONDS)

    def finish(self) -> int:
        """Wait for acknowledgements, within a limit.

        Returns:
            The number of records that are neither acknowledged nor failed.

        """
        under_way = self._producer.flush(FLUSH_SECONDS)
        self._count()
        return int(under_way)

    def _replace_producer(self) -> None:
        """Continue with a producer that has read the new certificates.

        The new producer sends the records that the old one cannot send within the limit. A record
        whose acknowledgement was lost may then be written twice, and none is lost.
        """
        self._tick()
        if self.finish():
            self._producer.purge()
            self._producer.flush(FLUSH_SECONDS)  # calls `_on_failure` for each failed record
        self._certificates = Certificates(self._settings)
        self._producer = self._open()
        taken_back, self._taken_back = self._taken_back, []
        for key, value in taken_back:  # at most as many as a producer has room for
            self._producer.produce(self._topic, value, key)
        self.sent += len(taken_back)

    def _send_when_there_is_room(self, key: bytes, value: bytes) -> bool:
        while not self._stop.is_set():
            self._tick()
            self.wait(_ROOM_SECONDS)
            if self._took(key, value):
                return True
        return False

    def _took(self, key: bytes, value: bytes) -> bool:
        try:
            self._producer.produce(self._topic, value, key)
        except BufferError:
            return False
        return True

    def _count(self) -> None:
        acknowledged = self.sent - self.failed - len(self._producer)
        if acknowledged > self.acknowledged:
            metrics.GENERATED.labels("acknowledged").inc(acknowledged - self.acknowledged)
            self.acknowledged = acknowledged
            self._moved_at = time.monotonic()
        elif not len(self._producer):
            self._moved_at = time.monotonic()

    def _on_failure(self, error: KafkaError | None, record: Message) -> None:
        if error is None:
            return
        if error.code() in _TAKEN_BACK:
            self._taken_back.append((record.key(), record.value()))
            self.sent -= 1
            return
        self.failed += 1
        metrics.GENERATED.labels("failed").inc()
        if time.monotonic() - self._complained_at >= COMPLAIN_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            log.error("not delivered", reason=error.str(), failed=self.failed)
