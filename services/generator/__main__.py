"""`python -m services.generator`: write transactions until SIGTERM, SIGINT or the set count."""

from __future__ import annotations

import signal
import sys
import threading
import time

import structlog
from confluent_kafka import KafkaException

from services.errors import UserError
from services.generator.accounts import Accounts
from services.generator.pace import Pace
from services.generator.profile import Uniform
from services.generator.sending import Sender
from services.generator.settings import GeneratorSettings
from services.streams.clients import missing_topics, wait_for_broker
from services.telemetry import Heartbeat, StatusServer, metrics, run_service

log = structlog.get_logger()

# Longest step of the wait for the next transaction, so that a stop is noticed soon.
MAX_WAIT_SECONDS = 0.2
# Shortest step: at high rates a step sends all transactions that became due in it.
MIN_WAIT_SECONDS = 0.002
# A step takes at most 20 s: that of replacing a producer while no broker answers.
STANDSTILL_SECONDS = 30.0


class GeneratorError(UserError):
    """Transactions cannot be written; the text is one line for people."""

    exit_code = 1


def main() -> int:
    """Run the generator; 0 if all transactions were acknowledged, 1 if not, 2 for bad settings."""
    return run_service("generator", GeneratorSettings, _work)


def _work(settings: GeneratorSettings) -> int:
    try:
        return Generator(settings).run()
    except KafkaException as error:
        raise GeneratorError(error.args[0].str()) from None


class Generator:
    """Makes transactions at a rate and sends them."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._unready: str | None = f"waiting for Kafka at {settings.kafka_broker_url}"
        self._heartbeat = Heartbeat(STANDSTILL_SECONDS)

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or the count; then flush and log the totals."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        status = StatusServer(
            self._settings.status_port,
            live=self._heartbeat.standstill,
            ready=lambda: self._unready,
            pages={},
            registry=metrics.GENERATOR,
        )
        log.info("started", status_port=status.start())
        try:
            if wait_for_broker(self._settings, self._stop, self._heartbeat.tick):
                self._require_topic()
                self._unready = None
            return self._generate(Sender(self._settings, self._stop, self._heartbeat.tick))
        finally:
            status.stop()

    def _require_topic(self) -> None:
        settings = self._settings
        if missing_topics(settings, [settings.transactions_topic]):
            raise GeneratorError(
                f"no topic {settings.transactions_topic} at {settings.kafka_broker_url}; "
                "create it, give this client the right to it, or set TRANSACTIONS_TOPIC"
            )

    def _generate(self, sender: Sender) -> int:
        """Send transactions when they are due; the exit code is 0 if all were acknowledged."""
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
            sender.drain()
        except KafkaException as error:
            broken = True
            log.error("cannot continue", reason=error.args[0].str())  # noqa: TRY400 - a line, no trace
        seconds = time.monotonic() - started
        return 1 if self._finish(sender, seconds) or broken else 0

    def _profile(self, per_second: float) -> Uniform | Accounts:
        settings = self._settings
        if settings.transactions_profile == "uniform":
            return Uniform(settings.transactions_seed)
        return Accounts(settings.transactions_seed, settings.transactions_accounts, per_second)

    def _wanted(self, pace: Pace, sent: int) -> int | None:
        """Number of transactions to send now; None if all have been sent."""
        self._heartbeat.tick()
        count = self._settings.transactions_count
        if count is None:
            return pace.due(time.monotonic())
        return min(pace.due(time.monotonic()), count - sent) if sent < count else None

    def _finish(self, sender: Sender, seconds: float) -> int:
        """Flush, log the totals, and return the number of unacknowledged transactions."""
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


if __name__ == "__main__":
    sys.exit(main())
