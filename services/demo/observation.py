"""What the demo sees: the detector's own endpoint, and the fraud topic as any reader has it."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_SECONDS = 2.0
_KEEP = 6


class Snapshot(NamedTuple):
    """The detector at one moment. Counts are since its start."""

    legit: int
    fraud: int
    dead_letters: int
    lag: int
    latency_buckets: dict[float, float]
    matches: dict[str, int]
    ruleset: dict[str, Any]

    @property
    def judged(self) -> int:
        """Records that have their verdict, or are dead letters."""
        return self.legit + self.fraud + self.dead_letters


def observe(port: int) -> Snapshot:
    """Ask the detector's status endpoint.

    Raises:
        OSError: it does not answer.

    """
    samples = [
        sample
        for family in text_string_to_metric_families(_get(port, "/metrics").decode())
        for sample in family.samples
    ]

    def total(name: str, label: str = "", value: str = "") -> int:
        return int(
            sum(
                s.value
                for s in samples
                if s.name == name and (not label or s.labels[label] == value)
            )
        )

    matches: dict[str, int] = {}
    for sample in samples:
        if sample.name == "fraud_rule_matches_total":
            rule = sample.labels["rule"]
            matches[rule] = matches.get(rule, 0) + int(sample.value)
    return Snapshot(
        legit=total("fraud_transactions_total", "verdict", "legit"),
        fraud=total("fraud_transactions_total", "verdict", "fraud"),
        dead_letters=total("fraud_dead_letters_total"),
        lag=total("fraud_consumer_lag_records"),
        latency_buckets={
            float(s.labels["le"]): s.value
            for s in samples
            if s.name == "fraud_decision_latency_seconds_bucket"
        },
        matches=matches,
        ruleset=json.loads(_get(port, "/ruleset")),
    )


def quantile(before: dict[float, float], now: dict[float, float], q: float) -> float | None:
    """Estimate a quantile, in seconds, of what came between two histograms.

    Returns:
        The upper bound of the bucket that it falls into, or None without data.

    """
    counts = {bound: n - before.get(bound, 0.0) for bound, n in sorted(now.items())}
    total = max(counts.values(), default=0.0)
    if not total:
        return None
    return next(bound for bound, n in counts.items() if n >= q * total)


class Frauds:
    """The latest frauds, read from their topic by a thread."""

    def __init__(self, bootstrap: str, topic: str, partitions: Iterable[int]) -> None:
        self.latest: deque[Message] = deque(maxlen=_KEEP)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "demo-view",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="frauds", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            self.latest.extend(m for m in self._consumer.consume(500, 0.2) if m.error() is None)


def _get(port: int, path: str) -> bytes:
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        body: bytes = response.read()
        return body
