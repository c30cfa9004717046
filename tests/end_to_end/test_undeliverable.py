"""Records that an output cannot take: each becomes a dead letter, and all others are judged."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from confluent_kafka import Producer

from tests.support.manifests import counting
from tests.support.streaming import Service, Topics, wait_for
from tools.local_kafka import create_topics

if TYPE_CHECKING:
    from pathlib import Path

    from confluent_kafka import Message

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

MIB = 1024 * 1024
FREE = {"message.timestamp.after.max.ms": "9223372036854775807"}
RULE = counting("payments >= 1")


def payment(n: int, note: str = "") -> bytes:
    fields = {"source": "alice", "target": "bob", "amount": 1, "currency": "USD", "note": note}
    return json.dumps({**fields, "timestamp": int(time.time() * 1000), "id": str(n)}).encode()


def noise(size: int) -> str:
    """Text that hardly compresses."""
    return base64.b64encode(random.Random(size).randbytes(size * 3 // 4)).decode()


def headers_of(message: Message) -> dict[str, bytes]:
    """Headers of a record; the last of each name."""
    return dict(cast("list[tuple[str, bytes]]", message.headers() or []))


def test_each_record_comes_out_once_whatever_the_outputs_refuse(
    broker: Broker, tmp_path: Path
) -> None:
    topics = Topics(*(f"undeliverable.{name}" for name in Topics._fields))
    large = {"max.message.bytes": str(8 * MIB)}
    create_topics(broker.bootstrap, {topics.transactions: 1}, large | FREE)
    create_topics(broker.bootstrap, dict.fromkeys(topics.outputs, 1))
    ten_years = int(time.time() * 1000) + 10 * 365 * 86_400_000
    odd: dict[int, dict[str, Any]] = {
        # What compresses passes, as it came.
        3: dict(value=payment(3, "x" * 3 * MIB)),
        5: dict(value=payment(5, noise(3 * MIB))),
        8: dict(value=payment(8), headers=[("note", noise(2 * MIB).encode()), ("kept", b"1")]),
        9: dict(value=payment(9), key=noise(2 * MIB).encode()),
        12: dict(value=payment(12), timestamp=ten_years),
        14: dict(value=b"no transaction " + noise(2 * MIB).encode()),
    }
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rule.yaml").write_text(RULE, encoding="utf-8")
    environment = topics.environment(broker) | {"RULES_PATH": str(rules)}
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "message.max.bytes": 20 * MIB,
            "compression.type": "gzip",
        }
    )
    for n in range(20):
        record: dict[str, Any] = {"key": b"alice", "value": payment(n)} | odd.get(n, {})
        producer.produce(topics.transactions, **record)
    assert producer.flush(60) == 0
    with Service("detector", environment, tmp_path / "log") as detector:
        out = wait_for(broker, topics.outputs, 20)
        assert detector.stop() == 0
        # Judged once also by whoever comes next.
        detector.start()
        producer.produce(topics.transactions, payment(20), b"alice")
        producer.flush(60)
        out = wait_for(broker, topics.outputs, 21)
    dead = {headers_of(m)["dead-letter.offset"]: m for m in out if m.topic() == topics.dead_letters}
    assert set(dead) == {b"5", b"8", b"9", b"12", b"14"}
    found = {offset: headers_of(m) for offset, m in dead.items()}
    reasons = {offset: h["dead-letter.reason"] for offset, h in found.items()}
    assert reasons == dict.fromkeys(dead, b"output_refused") | {b"14": b"malformed_json"}
    left_out = {offset: h.get("dead-letter.left-out") for offset, h in found.items()}
    assert left_out == {
        b"5": b"value",
        b"8": b"value, headers",
        b"9": b"value, headers, key",
        b"12": b"timestamp",
        b"14": b"value",
    }
    assert dead[b"5"].value() is None
    assert dead[b"5"].key() == b"alice"
    assert f"value {len(odd[5]['value'])}".encode() in found[b"5"]["dead-letter.size"]
    assert dead[b"12"].value() == odd[12]["value"]
    # A transaction counts in the windows whatever becomes of its output record.
    decisions = [headers_of(m).get("fraud.decision") for m in out if m.topic() == topics.fraud]
    counts = [json.loads(d)["matches"][0]["aggregates"]["payments"] for d in decisions if d]
    assert max(counts) == 20
