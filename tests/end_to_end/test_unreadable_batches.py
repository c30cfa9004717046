"""Batches that the client cannot decompress are stepped over, and all other records are judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from services.streams.stream import RECEIVE_MAX_BYTES
from tests.support.kafka import make_topics
from tests.support.manifests import counting
from tests.support.raw_batches import Raw, produce_raw
from tests.support.streaming import Service, wait_for

if TYPE_CHECKING:
    from confluent_kafka import Message

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

CHART_LIMIT_KIB = 512 * 1024
RULE = counting("payments >= 1")
PAYMENT = b'{"source": "a", "target": "b", "amount": 5.0, "currency": "USD"}'
ONE_RECORD = [Raw(b"a", bytes(RECEIVE_MAX_BYTES + 1))]
MANY_RECORDS = [Raw(b"a", bytes(RECEIVE_MAX_BYTES // 60)) for _ in range(100)]


def peak_kib(service: Service) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.split("\n") if line.startswith("VmHWM")))


def headers_of(message: Message) -> dict[str, bytes]:
    return dict(cast("list[tuple[str, bytes]]", message.headers() or []))


def test_a_batch_that_cannot_be_decompressed_is_stepped_over(
    broker: Broker, tmp_path: Path
) -> None:
    """Takes half a minute: two starts of a detector, and the ends of four batches."""
    topics = make_topics(broker)
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rule.yaml").write_text(RULE, encoding="utf-8")

    def send(records: list[Raw], codec: str = "none", partition: int = 0) -> tuple[int, int, int]:
        first = produce_raw(broker, topics.transactions, partition, records, codec)
        return partition, first, first + len(records) - 1

    payments = [Raw(b"a", PAYMENT)] * 3
    send(payments)
    bad = [send(ONE_RECORD, "zstd"), send(MANY_RECORDS, "zstd")]
    send(payments, "zstd")
    bad += [send(ONE_RECORD, "zstd"), send(MANY_RECORDS, "zstd", 1)]  # at the end of a partition
    environment = topics.environment(broker) | {"RULES_PATH": str(rules)}
    with Service("detector", environment, tmp_path / "log") as detector:
        wait_for(broker, topics.outputs, 6 + len(bad))
        assert peak_kib(detector) < CHART_LIMIT_KIB
        detector.kill()
        # The windows are rebuilt from a log with such batches.
        detector.start()
        send(payments)
        out = wait_for(broker, topics.outputs, 9 + len(bad))
        metrics = detector.get("/metrics")[1]
        assert peak_kib(detector) < CHART_LIMIT_KIB
        assert detector.stop() == 0
    dead = [headers_of(m) for m in out if m.topic() == topics.dead_letters]
    assert {d["dead-letter.reason"] for d in dead} == {b"unreadable_batch"}
    names = ("partition", "offset", "last-offset")
    places = [tuple(int(d[f"dead-letter.{name}"]) for name in names) for d in dead]
    assert sorted(places) == sorted(bad)
    judged = [m for m in out if m.topic() != topics.dead_letters]
    decisions = [json.loads(headers_of(m)["fraud.decision"]) for m in judged]
    counts = [decision["matches"][0]["aggregates"]["payments"] for decision in decisions]
    assert sorted(counts) == list(range(1, 10))
    assert 'fraud_dead_letters_total{reason="unreadable_batch"} 0.0' in metrics  # since the restart
