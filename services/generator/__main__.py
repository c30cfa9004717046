"""`python -m services.generator`: write transactions until told to stop, or enough are written."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import structlog
from confluent_kafka import KafkaException

from services.generator.accounts import Accounts
from services.generator.pace import Pace
from services.generator.profile import Uniform
from services.generator.sending import Sender
from services.generator.settings import GeneratorSettings
from services.settings import SettingError, load
from services.streams.clients import missing_topics, wait_for_broker
from services.telemetry import StatusServer, configure_logs, metrics

log = structlog.get_logger()

# Waiting for the next transaction goes in steps no longer than this, so that a stop is heard.
MAX_WAIT_SECONDS = 0.2
# And no shorter: at high rates a step sends what has come due in it.
MIN_WAIT_SECONDS = 0.002
# Every step returns within 5 s; after six of them something hangs.
STANDSTILL_SECONDS = 30.0
USAGE_ERROR = 2


class MissingTopicError(Exception):
    """The topic to write to is not there; the text is one line for people."""


def main() -> int:
    """Run the generator; 0 when every transaction was acknowledged, 1 when not, 2 for settings."""
    try:
        settings = load(GeneratorSettings, os.environ)
        configure_logs("generator", settings.log_level)
        return Generator(settings).run()
    except SettingError as error:
        sys.stderr.write(f"generator: {error}\n")
        return USAGE_ERROR
    except MissingTopicError as error:
        sys.stderr.write(f"generator: {error}\n")
        return 1
    except KafkaException as error:
        sys.stderr.write(f"generator: {error.args[0].str()}\n")
        return 1


class Generator:
    """Paces and makes transactions, and has them sent."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._unready: str | None = f"waiting for Kafka at {settings.kafka_broker_url}"
        self._beat = time.monotonic()

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or the count; then flush and say the totals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        status = StatusServer(
            self._settings.status_port,
            live=self._live,
            ready=lambda: self._unready,
            pages={},
            registry=metrics.GENERATOR,
        )
        log.info("started", status_port=status.start())
        try:
            if wait_for_broker(self._settings, self._stop, self._tick):
                self._require_topic()
                self._unready = None
            return self._generate(Sender(self._settings, self._stop, self._tick))
        finally:
            status.stop()

    def _require_topic(self) -> None:
        settings = self._settings
        if missing_topics(settings, [settings.transactions_topic]):
            raise MissingTopicError(
                f"no topic {settings.transactions_topic} at {settings.kafka_broker_url}; "
                "create it, give this client the right to it, or set TRANSACTIONS_TOPIC"
            )

    def _generate(self, sender: Sender) -> int:
        """Send what is due when it is due; the exit code is 0 when all of it was acknowledged."""
        started = time.monotonic()
        rate = self._settings.transactions_per_second
        per_second = float("inf") if rate == "max" else rate
        pace, profile = Pace(per_second, started), self._profile(per_second)
        broken = False
        try:
            while not self._stop.is_set() and (n := self._wanted(pace, sender.sent)) is not None:
                sender.send(profile.records(n, time.time_ns() // 1_000_000))
                wait = pace.wait(time.monotonic())
                sender.wait(min(max(wait, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS) if wait else 0)
        except KafkaException as error:
            broken = True
            log.error("cannot go on", reason=error.args[0].str())  # noqa: TRY400 - a line, no trace
        seconds = time.monotonic() - started
        return 1 if self._finish(sender, seconds) or broken else 0

    def _profile(self, per_second: float) -> Uniform | Accounts:
        settings = self._settings
        if settings.transactions_profile == "uniform":
            return Uniform(settings.transactions_seed)
        return Accounts(settings.transactions_seed, settings.transactions_accounts, per_second)

    def _wanted(self, pace: Pace, sent: int) -> int | None:
        """How many to send now; None when all have been."""
        self._tick()
        count = self._settings.transactions_count
        if count is None:
            return pace.due(time.monotonic())
        return min(pace.due(time.monotonic()), count - sent) if sent < count else None

    def _finish(self, sender: Sender, seconds: float) -> int:
        """Flush, say the totals, and give how many were not acknowledged."""
        self._unready = "stopping"
        under_way = sender.finish()
        log.info(
            "stopped",
            sent=sender.sent,
            acknowledged=sender.acknowledged,
            failed=sender.failed,
            unacknowledged=under_way,
            seconds=round(seconds, 3),
        )
        return sender.sent - sender.acknowledged

    def _tick(self) -> None:
        self._beat = time.monotonic()

    def _live(self) -> str | None:
        still = time.monotonic() - self._beat
        return f"the loop has not moved for {still:.0f} s" if still > STANDSTILL_SECONDS else None


if __name__ == "__main__":
    sys.exit(main())
