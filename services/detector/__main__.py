"""`python -m services.detector`: judge the input topic until told to stop."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaException

from services.detector.judge import Judge, Topics
from services.detector.keying import Keying
from services.detector.matches import RecentMatches
from services.detector.partitions import Partitions
from services.detector.reading import Reader
from services.detector.ruleset_source import RulesetSource
from services.detector.settings import DetectorSettings
from services.rules import Compiler, RuleStore
from services.rules.keys import complaint_of_key
from services.settings import SettingError, load
from services.streams.clients import broker_answers, missing_topics, wait_for_broker
from services.streams.delivery import StreamError, run
from services.streams.ownership import OwnershipWatch
from services.streams.processing import Health
from services.streams.stream import Stream
from services.telemetry import StatusServer, configure_logs, metrics
from services.transactions import SchemaError, load_schema
from services.windows import prepare as prepare_windows

log = structlog.get_logger()

# While Kafka answers, a call of the loop returns within 5 s; three in a row are a retried commit.
STANDSTILL_SECONDS = 30.0
USAGE_ERROR = 2


def main() -> int:
    """Run the detector; the exit code is 0 after a stop that was asked for."""
    try:
        settings = load(DetectorSettings, os.environ)
        configure_logs("detector", settings.log_level)
        return Detector(settings).run()
    except (SettingError, SchemaError, StreamError) as error:
        sys.stderr.write(f"detector: {error}\n")
    except KafkaException as error:
        sys.stderr.write(f"detector: {error.args[0].str()}\n")
    return USAGE_ERROR


class Detector:
    """The parts of a detector, put together."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._settings = settings
        schema = load_schema(Path(settings.schema_path) if settings.schema_path else None)
        compiler = Compiler(schema, settings.keyed_by)
        if complaint := complaint_of_key(schema, settings.keyed_by):
            raise SettingError(f"KEYED_BY: {complaint}")
        store = RuleStore(compiler, settings.score_threshold, _count_error)
        self._keying = Keying(compiler.keyed_by)
        self._matches = RecentMatches()
        self._rules = RulesetSource(_existing(settings.rules_path), store, self._more)
        _require_rules(self._rules, settings.rules_path)
        self._reader = Reader(
            schema,
            max_future_ms=int(settings.max_future_seconds * 1000),
            max_late_ms=int(settings.max_late_seconds * 1000),
        )
        self._partitions = Partitions(self._stream(), self._rules.current, self._reader)
        topics = Topics(settings.legit_topic, settings.fraud_topic, settings.dead_letter_topic)
        self._judge = Judge(self._reader, self._rules, self._partitions, topics, self._keying)
        self._health = Health()
        self._stop = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; what is under way is committed first."""
        settings = self._settings
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        status = StatusServer(
            settings.status_port,
            live=self._live,
            ready=self._ready,
            pages={"/ruleset": self._rules.page},
            registry=metrics.DETECTOR,
        )
        port = status.start()
        self._matches.start()
        log.info("started", status_port=port, instance_id=settings.instance_id)
        try:
            prepare_windows()
            if self._prepare():
                stream = self._stream()
                ownership = OwnershipWatch(stream)
                ownership.start()
                self._rules.start()
                _spare_the_collector()
                run(stream, self._judge, self._stop, self._health)
                self._partitions.close()
                self._rules.stop()
                ownership.stop()
        finally:
            self._matches.stop()
            status.stop()
        log.info("stopped")
        return 0

    def _stream(self) -> Stream:
        settings = self._settings
        return Stream(
            settings=settings,
            topic=settings.transactions_topic,
            group=settings.consumer_group,
            instance_id=settings.instance_id,
            exactly_once=settings.delivery == "exactly_once",
        )

    def _prepare(self) -> bool:
        """Wait for the broker and look for the topics; False when stopped meanwhile."""
        settings = self._settings
        if not wait_for_broker(settings, self._stop, self._health.tick):
            return False
        names = [
            settings.transactions_topic,
            settings.legit_topic,
            settings.fraud_topic,
            settings.dead_letter_topic,
        ]
        if missing := missing_topics(settings, names):
            raise StreamError(
                f"no topic {', '.join(missing)} at {settings.kafka_broker_url}; create it, "
                "give this client the right to it, or set the variable that names it"
            )
        return True

    def _more(self) -> dict[str, Any]:
        """What `/ruleset` tells beside the rules."""
        short = [
            {"partition": number, "until": datetime.fromtimestamp(ms / 1000, UTC).isoformat()}
            for number, ms in sorted(self._partitions.short.items())
        ]
        return {
            "keying": self._keying.page(),
            "recent": self._matches.page(),
            "windows": {"short": short},
        }

    def _live(self) -> str | None:
        still = time.monotonic() - self._health.beat
        # librdkafka waits without bound for a coordinator that is away, and goes on by itself when
        # it is back: only a loop that stands still while Kafka answers is stuck.
        if still < STANDSTILL_SECONDS or not broker_answers(self._settings):
            return None
        return f"the loop has not moved for {still:.0f} s, and Kafka answers"

    def _ready(self) -> str | None:
        if not self._health.assigned:
            return "no partitions are assigned yet"
        return "windows are being rebuilt" if self._partitions.waiting else None


def _spare_the_collector() -> None:
    """Keep the cycle collector from walking over what lives as long as the process.

    A batch makes thousands of objects and no cycle; the default threshold of 700
    has them searched several times a batch, 8 % of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def _existing(rules_path: str) -> Path:
    path = Path(rules_path)
    if not path.exists():
        raise SettingError(
            f"RULES_PATH: {path.absolute()} does not exist; name a file or a folder of FraudRules"
        )
    return path


def _require_rules(rules: RulesetSource, rules_path: str) -> None:
    for state in rules.states:
        if state.state == "Invalid":
            log.error("rule refused", rule=state.name, state=state.state, reason=state.message)
    if not rules.current.rules and not rules.empty:
        raise SettingError(
            f"RULES_PATH: {rules_path} holds no FraudRule that can go live; "
            f"`fraud rules check {rules_path}` says why"
        )


def _count_error(rule: str, error: str) -> None:
    metrics.RULE_ERRORS.labels(rule, _error_code(error)).inc()


def _error_code(error: str) -> str:
    """A bounded label for an evaluator's message."""
    known = {
        "divide by zero": "divide_by_zero",
        "modulus by zero": "divide_by_zero",
        "overflow": "overflow",
        "out of range": "overflow",
        "budget": "over_budget",
        "iteration": "over_budget",
        "regular expression": "invalid_pattern",
        "has no value": "no_value",
    }
    return next((code for text, code in known.items() if text in error.lower()), "other")


if __name__ == "__main__":
    sys.exit(main())
