"""`python -m services.generator`: write transactions until told to stop, or enough are written."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.generator.pace import Pace
from services.generator.profile import Uniform
from services.generator.settings import GeneratorSettings
from services.settings import SettingError, load
from services.streams.clients import client_config, missing_topics, wait_for_broker
from services.telemetry import StatusServer, configure_logs, metrics

if TYPE_CHECKING:
    from services.generator.profile import Record

log = structlog.get_logger()

# How long a stop waits for what is under way to be acknowledged.
FLUSH_SECONDS = 10.0
# Waiting for the next transaction goes in steps no longer than this, so that a stop is heard.
MAX_WAIT_SECONDS = 0.2
# And no shorter: at high rates a step sends what has come due in it.
MIN_WAIT_SECONDS = 0.002
STANDSTILL_SECONDS = 30.0
USAGE_ERROR = 2


def main() -> int:
    """Run the generator; 0 when every transaction was acknowledged, 1 when not."""
    try:
        settings = load(GeneratorSettings, os.environ)
        configure_logs("generator", settings.log_level)
        return Generator(settings).run()
    except SettingError as error:
        sys.stderr.write(f"generator: {error}\n")
        return USAGE_ERROR
    except KafkaException as error:
        sys.stderr.write(f"generator: {error.args[0].str()}\n")
        return 1


class Generator:
    """Paces, makes and sends transactions, and counts what became of each."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._sent = 0
        self._failed = 0
        self._counted = 0
        self._complained_at = 0.0
        self._beat = time.monotonic()

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or the count; then flush and say the totals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        settings = self._settings
        status = StatusServer(settings.status_port, live=self._live, ready=lambda: None, pages={})
        log.info("started", status_port=status.start())
        try:
            if not wait_for_broker(settings, self._stop, self._tick):
                return 0
            if missing_topics(settings, [settings.transactions_topic]):
                raise SettingError(
                    f"no topic {settings.transactions_topic} at {settings.kafka_broker_url}; "
                    "create it, or set TRANSACTIONS_TOPIC"
                )
            return self._generate()
        finally:
            status.stop()

    def _generate(self) -> int:
        producer = Producer(
            {
                **client_config(self._settings, "generator"),
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # where Java's producers put the same key
                "linger.ms": 5,
                "queue.buffering.max.messages": 100_000,
                # Acknowledged is what was sent, is not under way, and was not reported as failed.
                "delivery.report.only.error": True,
            },
            logger=logging.getLogger("librdkafka"),
        )
        started = time.monotonic()
        rate = self._settings.transactions_per_second
        pace = Pace(float("inf") if rate == "max" else rate, started)
        profile = Uniform(self._settings.transactions_seed)
        while not self._stop.is_set() and (n := self._wanted(pace)) is not None:
            self._send(producer, profile.records(n, time.time_ns() // 1_000_000))
            self._count(producer)
            wait = pace.wait(time.monotonic())
            producer.poll(min(max(wait, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS) if wait else 0)
        return self._finish(producer, time.monotonic() - started)

    def _wanted(self, pace: Pace) -> int | None:
        """How many to send now; None when all have been."""
        self._tick()
        n = pace.due(time.monotonic())
        count = self._settings.transactions_count
        if count is None:
            return n
        return min(n, count - self._sent) if self._sent < count else None

    def _send(self, producer: Producer, records: list[Record]) -> None:
        topic, failed = self._settings.transactions_topic, self._on_failure
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key, -1, failed)
                except BufferError:  # the broker is slower than we are: wait for room
                    self._tick()
                    producer.poll(0.05)
                else:
                    break
        self._sent += len(records)

    def _on_failure(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            return
        self._failed += 1
        metrics.GENERATED.labels("failed").inc()
        if time.monotonic() - self._complained_at >= 1:
            self._complained_at = time.monotonic()
            log.error("not delivered", reason=error.str(), failed=self._failed)

    def _count(self, producer: Producer) -> None:
        acknowledged = self._sent - self._failed - len(producer)
        if acknowledged > self._counted:
            metrics.GENERATED.labels("acknowledged").inc(acknowledged - self._counted)
            self._counted = acknowledged

    def _finish(self, producer: Producer, seconds: float) -> int:
        under_way = producer.flush(FLUSH_SECONDS)
        self._count(producer)
        log.info(
            "stopped",
            sent=self._sent,
            acknowledged=self._counted,
            failed=self._failed,
            unacknowledged=under_way,
            seconds=round(seconds, 3),
        )
        return 0 if self._counted == self._sent else 1

    def _tick(self) -> None:
        self._beat = time.monotonic()

    def _live(self) -> str | None:
        still = time.monotonic() - self._beat
        return f"the loop has not moved for {still:.0f} s" if still > STANDSTILL_SECONDS else None


if __name__ == "__main__":
    sys.exit(main())
