"""The generator's producer: sends records, and knows what became of each."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, Message, Producer

from services.streams.clients import ATTEMPT_SECONDS, Certificates, client_config
from services.telemetry import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from services.generator.profile import Record
    from services.generator.settings import GeneratorSettings

log = structlog.get_logger()

# How long a stop waits for what is under way to be acknowledged.
FLUSH_SECONDS = 10.0
# Failures come by the thousand when a broker is gone; one line tells of them all.
COMPLAIN_EVERY_SECONDS = 1.0
_ROOM_SECONDS = 0.05


class Sender:
    """An idempotent producer to one topic that counts what was sent, acknowledged and failed.

    Args:
        settings: where to connect, and the topic.
        stop: ends the wait for a broker that takes no more.
        tick: called while it waits.

    """

    def __init__(
        self, settings: GeneratorSettings, stop: threading.Event, tick: Callable[[], None]
    ) -> None:
        self.sent = self.acknowledged = self.failed = 0
        self._topic = settings.transactions_topic
        self._stop = stop
        self._tick = tick
        self._complained_at = 0.0
        self._settings = settings
        self._certificates = Certificates(settings)
        self._producer = self._open()

    def _open(self) -> Producer:
        return Producer(
            {
                **client_config(self._settings, "generator"),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # where Java's producers put the same key
                "linger.ms": 5,
                "queue.buffering.max.messages": 100_000,
                # Acknowledged is what was sent, is not under way, and was not reported as failed;
                # a call for each that went well would cost 1 µs a record.
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def send(self, records: list[Record]) -> None:
        """Hand records to the producer, waiting for room; after a stop the rest is not sent.

        Raises:
            KafkaException: the producer takes no more, as the topic is gone or for a fatal error.

        """
        topic, produce = self._topic, self._producer.produce
        for key, value in records:
            try:
                produce(topic, value, key)
            except BufferError:
                if not self._send_when_there_is_room(key, value):
                    break
            self.sent += 1
        self._count()

    def wait(self, seconds: float) -> None:
        """Take note of deliveries, for so long if there are none."""
        self._producer.poll(seconds)
        if self._certificates.renewed():
            if self.finish():
                # With the old certificates it may never be delivered. What is given up is failed.
                self._producer.purge()
                self.finish()
            log.info("certificates renewed")
            self._certificates = Certificates(self._settings)
            self._producer = self._open()

    def finish(self) -> int:
        """Wait until all is acknowledged or failed, within limits; how many are neither."""
        under_way = self._producer.flush(FLUSH_SECONDS)
        self._count()
        return int(under_way)

    def _send_when_there_is_room(self, key: bytes, value: bytes) -> bool:
        say_at = time.monotonic() + ATTEMPT_SECONDS
        while not self._stop.is_set():
            self._tick()
            self._producer.poll(_ROOM_SECONDS)
            self._count()
            if self._took(key, value):
                return True
            if time.monotonic() >= say_at:
                say_at = time.monotonic() + ATTEMPT_SECONDS
                log.warning("waiting for Kafka", unacknowledged=len(self._producer))
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

    def _on_failure(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            return
        self.failed += 1
        metrics.GENERATED.labels("failed").inc()
        if time.monotonic() - self._complained_at >= COMPLAIN_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            log.error("not delivered", reason=error.str(), failed=self.failed)
