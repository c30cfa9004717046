"""Any record that a producer can write comes out once: judged, or as a dead letter."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

from tests.support.kafka import PARTITIONS, make_topics
from tests.support.manifests import counting
from tests.support.raw_batches import CODECS, Raw, produce_raw
from tests.support.streaming import Service, until, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from confluent_kafka import Message

    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

LAST = (1 << 63) - 1
BATCHES_OF_A_CODEC = 20
RULE = counting("payments % 2 == 0")


class Sent(NamedTuple):
    """A record, where it lies, and its headers as the client gives them; None: unreadable."""

    record: Raw
    headers: list[tuple[str, bytes | None]] | None


def some_bytes(chance: random.Random, most: int = 20) -> bytes | None:
    return chance.choice([None, b"", chance.randbytes(chance.randrange(most)), b"plain"])


def some_record(chance: random.Random, identity: str) -> Raw:
    payment = {"source": "a", "target": "b", "amount": 5.0, "currency": "USD", "id": identity}
    now_ms = time.time_ns() // 1_000_000
    names = [b"", b"plain", "é".encode(), b"cut\0off", b"fraud.decision", b"dead-letter.reason"]
    if chance.random() < 0.3:
        names += [b"\xff", b"\xed\xa0\x80", chance.randbytes(5)]
    count = chance.choice([0, 0, 1, 2, 5, 300])
    return Raw(
        key=some_bytes(chance),
        value=json.dumps(payment).encode() if chance.random() < 0.6 else some_bytes(chance, 500),
        headers=[(chance.choice(names), some_bytes(chance, 100)) for _ in range(count)],
        timestamp_ms=chance.choice(
            [now_ms, now_ms, now_ms, 0, -1, now_ms // 1000, now_ms * 1000, LAST, -LAST]
        ),
    )


def given(record: Raw) -> list[tuple[str, bytes | None]] | None:
    """Its headers as the client gives them."""
    try:
        return [(name.split(b"\0")[0].decode(), value) for name, value in record.headers]
    except UnicodeDecodeError:
        return None


def send(broker: Broker, topic: str) -> dict[tuple[int, int], Sent]:
    """Write records of all kinds, compressed in each way."""
    chance = random.Random(20)
    sent: dict[tuple[int, int], Sent] = {}
    for codec in CODECS:
        for n in range(BATCHES_OF_A_CODEC):
            partition = n % PARTITIONS
            names = [f"{codec}-{n}-{i}" for i in range(chance.randrange(1, 20))]
            records = [some_record(chance, name) for name in names]
            first = produce_raw(broker, topic, partition, records, codec)
            sent |= {
                (partition, first + i): Sent(record, given(record))
                for i, record in enumerate(records)
            }
    large = Raw(b"large", b"{}", [(b"large", bytes(300_000))] * 3)
    sent[0, produce_raw(broker, topic, 0, [large])] = Sent(large, given(large))
    return sent


def test_any_record_comes_out_once(broker: Broker, tmp_path: Path) -> None:
    """Takes half a minute: the start of a detector, and its restart with windows to rebuild."""
    topics = make_topics(broker, message_timestamp_after_max_ms=str(LAST))
    sent = send(broker, topics.transactions)
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rule.yaml").write_text(RULE, encoding="utf-8")
    environment = topics.environment(broker) | {"RULES_PATH": str(rules)}
    with Service("detector", environment, tmp_path / "log") as detector:
        wait_for(broker, topics.outputs, len(sent))
        detector.kill()
        # The windows are rebuilt from the same records.
        detector.start()
        more = Raw(b"last", json.dumps({**PAYMENT, "id": "last"}).encode())
        sent[0, produce_raw(broker, topics.transactions, 0, [more])] = Sent(more, [])
        out = wait_for(broker, topics.outputs, len(sent))
        until(lambda: len(detector.lines("partitions ready")) > 1, "the windows are rebuilt")
        assert detector.stop() == 0
    _compare(topics, sent, out)


PAYMENT = {"source": "a", "target": "b", "amount": 5.0, "currency": "USD"}


def _compare(topics: Topics, sent: dict[tuple[int, int], Sent], out: list[Message]) -> None:
    judged = {
        json.loads(one.record.value)["id"]: at
        for at, one in sent.items()
        if one.record.value and b'"id"' in one.record.value
    }
    places = []
    for message in out:
        own = cast("list[tuple[str, bytes | None]]", message.headers() or [])
        found = dict(own)
        if message.topic() == topics.dead_letters:
            at = int(found["dead-letter.partition"] or b""), int(found["dead-letter.offset"] or b"")
            wanted = sent[at].headers or []
            if found["dead-letter.reason"] == b"unreadable_headers":
                assert sent[at].headers is None
        else:
            at = judged[json.loads(message.value() or b"")["id"]]
            assert sent[at].headers is not None
            wanted = sent[at].headers or []
            decision = [value for name, value in own if name == "fraud.decision"][-1:]
            if len(own) > len(wanted):
                assert json.loads(decision[0] or b"")["ruleset"]
            else:
                assert not decision
        places.append(at)
        assert own[: len(wanted)] == wanted
        assert (message.key(), message.value()) == (sent[at].record.key, sent[at].record.value)
    assert sorted(places) == sorted(sent)
