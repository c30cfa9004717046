"""What a detector makes of a log that is not as it should be, and says of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from tests.support.manifests import counting
from tests.support.streaming import Service, Topics, delete_before, produce, until, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

RULE = counting("payments >= 1")


def payments(source: str, n: int, key: str | None = None) -> list[tuple[bytes, bytes]]:
    value = {"source": source, "target": "b", "amount": 1.0, "currency": "USD"}
    return [((key or source).encode(), json.dumps(value).encode())] * n


def counts(records: list[Message]) -> list[int]:
    """The payments that each record's window had, in the order of the output."""
    decisions = [json.loads(dict(m.headers() or [])["fraud.decision"] or b"{}") for m in records]
    return sorted(d["matches"][0]["aggregates"]["payments"] for d in decisions)


@pytest.fixture
def detector(broker: Broker, topics: Topics, tmp_path: Path) -> Service:
    """A detector with one rule, not started."""
    (tmp_path / "many.yaml").write_text(RULE, encoding="utf-8")
    environment = topics.environment(broker) | {"RULES_PATH": str(tmp_path / "many.yaml")}
    return Service("detector", environment, tmp_path / "log")


def page(detector: Service) -> dict[str, Any]:
    return dict(json.loads(detector.get("/ruleset")[1]))


def test_a_log_that_begins_too_late_is_said(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    produce(broker, topics.transactions, payments("alice", 6))
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert page(detector)["windows"] == {"short": []}
        assert detector.stop() == 0
        partition = owner_of(broker, topics)
        delete_before(broker, topics.transactions, partition, 4)
        detector.start()
        until(lambda: len(detector.lines("partitions ready")) == 2, "ready")
        (short,) = page(detector)["windows"]["short"]
        assert short["partition"] == partition
        assert "fraud_windows_short_partitions 1.0" in until(
            lambda: text if "short_partitions 1" in (text := detector.get("/metrics")[1]) else "",
            "measured",
        )
        (said,) = detector.lines("the windows lack records")
        assert (said["partition"], said["reason"]) == (partition, "RetentionTooShort")
        produce(broker, topics.transactions, payments("alice", 1))
        assert counts(wait_for(broker, topics.outputs, 7))[0] == 1
        # Two of the six are left, and this one.
        assert counts(wait_for(broker, topics.outputs, 7)) == [1, 2, 3, 3, 4, 5, 6]


def owner_of(broker: Broker, topics: Topics) -> int:
    """The partition that has the records."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "outside"})
    ends = [
        consumer.get_watermark_offsets(TopicPartition(topics.transactions, p), 5)[1]
        for p in range(4)
    ]
    consumer.close()
    (owner,) = (p for p, end in enumerate(ends) if end)
    return owner


def test_offsets_that_another_tool_committed_have_the_windows_read_from_the_beginning(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    produce(broker, topics.transactions, payments("alice", 6))
    group = f"group-{topics.transactions}"
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    partition = owner_of(broker, topics)
    consumer.commit(offsets=[TopicPartition(topics.transactions, partition, 4)], asynchronous=False)
    consumer.close()
    with detector:
        assert counts(wait_for(broker, topics.outputs, 2)) == [5, 6]
        assert detector.stop() == 0


def test_records_with_other_keys_than_declared_are_said(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    produce(broker, topics.transactions, payments("alice", 3, key="not alice"))
    with detector:
        wait_for(broker, topics.outputs, 3)
        keying = until(
            lambda: told if (told := page(detector)["keying"])["sampled"] else {}, "told"
        )
        assert keying["mismatched"] == keying["sampled"] > 0
        assert any("not keyed as declared" in line for line in detector.text().split("\n"))
        text = detector.get("/metrics")[1]
    assert 'fraud_keys_sampled_total{outcome="mismatch"} ' in text
    assert 'fraud_keys_sampled_total{outcome="mismatch"} 0.0' not in text


@pytest.mark.parametrize("keyed_by", ["none", "target"])
def test_a_rule_that_groups_by_what_the_topic_is_not_keyed_by_is_refused(
    detector: Service, keyed_by: str
) -> None:
    detector.add_environment(KEYED_BY=keyed_by)
    with detector:
        assert detector.wait() == 2
        assert "spec.aggregates[0].groupBy" in detector.text()


def test_a_key_that_the_schema_does_not_have_is_one_line(detector: Service) -> None:
    detector.add_environment(KEYED_BY="acount")
    with detector:
        assert detector.wait() == 2
        assert "KEYED_BY: the schema has no field 'acount'" in detector.text()
