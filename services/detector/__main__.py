"""`python -m services.detector`: judge the input topic until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog
from confluent_kafka import KafkaException

from services.columns import prepare as prepare_columns
from services.detector.judge import Judge
from services.detector.keying import Keying
from services.detector.matches import RecentMatches
from services.detector.outcomes import Topics
from services.detector.partitions import Partitions
from services.detector.reading import Reader
from services.detector.ruleset_source import RulesetSource
from services.detector.settings import DetectorSettings
from services.programs import prepare as prepare_programs
from services.rules import NO_VALUE, Compiler, RuleStore
from services.rules.keys import complaint_of_key
from services.settings import SettingError
from services.streams.clients import missing_topics, wait_for_broker
from services.streams.commits import Commits
from services.streams.delivery import run
from services.streams.identity import record_limit, topic_admin
from services.streams.output import CALL_SECONDS
from services.streams.ownership import OwnershipWatch
from services.streams.processing import Health
from services.streams.stream import BATCH_BYTES, Stream, StreamError
from services.telemetry import StatusServer, metrics, run_service
from services.transactions import load_schema
from services.windows import prepare as prepare_windows

log = structlog.get_logger()

# A stop takes at most two calls of 11 s; Kubernetes kills a pod after 30 s.
STOP_SECONDS = 25.0


def main() -> int:
    """Run the detector; the exit code is 0 after SIGTERM or SIGINT."""
    return run_service("detector", DetectorSettings, _work)


def _work(settings: DetectorSettings) -> int:
    try:
        return Detector(settings).run()
    except KafkaException as error:
        raise StreamError(error.args[0].str()) from None


class Detector:
    """All parts of a detector."""

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
        self._stream = Stream(
            settings=settings,
            topic=settings.transactions_topic,
            group=settings.consumer_group,
            client_id=settings.instance_id or socket.gethostname(),
            instance_id=settings.instance_id,
            exactly_once=settings.delivery == "exactly_once",
        )
        self._commits = Commits()
        self._partitions = Partitions(
            self._stream, self._rules.current, self._reader, self._commits
        )
        topics = Topics(settings.legit_topic, settings.fraud_topic, settings.dead_letter_topic)
        self._judge = Judge(self._reader, self._rules, self._partitions, topics, self._keying)
        self._health = Health()
        self._stop = threading.Event()
        self._ended = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, and commit current work before the end."""
        settings = self._settings
        # Python runs a signal handler only when a blocking call of Kafka's client in the main
        # thread returns. The byte on the wake-up socket is written at once.
        woken, wake_up = socket.socketpair()
        wake_up.setblocking(False)  # noqa: FBT003 - the signature of the socket module
        signal.set_wakeup_fd(wake_up.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        waiter = threading.Thread(
            target=self._await_signal, args=(woken,), name="signals", daemon=True
        )
        waiter.start()
        status = StatusServer(
            settings.status_port,
            live=self._health.standstill,
            ready=self._ready,
            pages={"/ruleset": self._rules.page},
            registry=metrics.DETECTOR,
        )
        port = status.start()
        self._matches.start()
        log.info("started", status_port=port, instance_id=settings.instance_id)
        try:
            prepare_columns()
            prepare_programs()
            prepare_windows()
            if self._prepare():
                self._judge_until_stopped()
        finally:
            self._matches.stop()
            status.stop()
            self._ended.set()
            signal.set_wakeup_fd(-1)
            wake_up.close()
        log.info("stopped")
        return 0

    def _judge_until_stopped(self) -> None:
        ownership = OwnershipWatch(self._stream) if self._stream.instance_id else None
        if ownership is not None:
            ownership.start()
        self._rules.start()
        _spare_the_collector()
        run(self._stream, self._judge, self._stop, self._health, self._commits)
        self._partitions.close()
        self._rules.stop()
        if ownership is not None:
            ownership.stop()

    def _await_signal(self, woken: socket.socket) -> None:
        woken.recv(1)
        self._stop.set()
        if not self._ended.wait(STOP_SECONDS):
            # As after kill -9: the next owner reads uncommitted records again.
            log.error("stopped without an end: a call of Kafka's client does not return")
            os._exit(1)

    def _prepare(self) -> bool:
        """Wait for the broker and check the topics; False if the stop came before."""
        settings = self._settings
        if not wait_for_broker(settings, self._stop, self._health.tick):
            return False
        outputs = [settings.legit_topic, settings.fraud_topic, settings.dead_letter_topic]
        if missing := missing_topics(settings, [settings.transactions_topic, *outputs]):
            raise StreamError(
                f"no topic {', '.join(missing)} at {settings.kafka_broker_url}; create it, "
                "give this client the right to it, or set the variable that names it"
            )
        limit = record_limit(topic_admin(settings), outputs, CALL_SECONDS) or BATCH_BYTES
        self._stream = msgspec.structs.replace(self._stream, batch_bytes=min(limit, BATCH_BYTES))
        return True

    def _more(self) -> dict[str, Any]:
        """Return the parts of `/ruleset` beside the rules."""
        short = [
            {
                "partition": number,
                "reason": short.reason,
                "until": None if short.until_ms is None else _date(short.until_ms),
            }
            for number, short in sorted(self._partitions.short.items())
        ]
        return {
            "keying": self._keying.page(),
            "recent": self._matches.page(),
            "windows": {"short": short},
        }

    def _ready(self) -> str | None:
        if not self._health.assigned:
            return "no partitions are assigned yet"
        return "windows are being rebuilt" if self._partitions.rebuilding else None


def _spare_the_collector() -> None:
    """Keep the garbage collector from scanning objects that live as long as the process.

    A batch makes thousands of objects and no cycle. With the default threshold of 700
    they would be scanned several times a batch, 8 % of the CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def _date(ms: int) -> str:
    """Format epoch milliseconds as RFC 3339; impossible times become the nearest valid date."""
    first, last = -62_135_596_800_000, 253_402_300_799_000  # the years 1 to 9999
    return datetime.fromtimestamp(min(max(ms, first), last) / 1000, UTC).isoformat()


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
            log.error("rule rejected", rule=state.name, state=state.state, reason=state.message)
    if not rules.current.rules and not rules.empty:
        raise SettingError(
            f"RULES_PATH: {rules_path} holds no FraudRule that can go live; "
            f"`fraud rules check {rules_path}` gives the reason"
        )


def _count_error(rule: str, error: str) -> None:
    """Count an evaluation that failed; an aggregate without a value is not an error."""
    if NO_VALUE in error:
        metrics.RULE_VALUES_MISSING.labels(rule).inc()
    else:
        metrics.RULE_ERRORS.labels(rule, _error_code(error)).inc()


def _error_code(error: str) -> str:
    """Return a label of bounded cardinality for an evaluator's message."""
    known = {
        "divide by zero": "divide_by_zero",
        "modulus by zero": "divide_by_zero",
        "overflow": "overflow",
        "out of range": "overflow",
        "budget": "over_budget",
        "iteration": "over_budget",
        "regular expression": "invalid_pattern",
    }
    return next((code for text, code in known.items() if text in error.lower()), "other")


if __name__ == "__main__":
    sys.exit(main())
