"""One transaction in, one verdict out: what other programs see of the detector."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaConsumer, KafkaProducer

from services.cli import main as fraud
from tests.end_to_end.verdicts import problems
from tests.support.streaming import Service, Topics, produce, read_all, until, wait_for
from tests.transactions.corpus import CASES

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

RULE = """\
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {{name: {name}}}
spec:
  mode: {mode}
  expression: {expression}
"""


def write_rule(folder: Path, name: str, expression: str, mode: str = "Enforce") -> None:
    text = RULE.format(name=name, expression=json.dumps(expression), mode=mode)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def payment(amount: float = 12.5, **more: Any) -> bytes:
    value = {"source": "a" * 12, "target": "b" * 12, "amount": amount, "currency": "USD", **more}
    return json.dumps(value).encode()


def headers_of(message: Any) -> dict[str, bytes]:
    return dict(message.headers())


def decision(message: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(headers_of(message)["fraud.decision"])
    return told


@pytest.mark.filterwarnings("ignore:value_(de)?serializer:DeprecationWarning")  # the seed's way
def test_the_seeds_own_producer_and_consumer_work_as_they_are(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    producer = KafkaProducer(
        bootstrap_servers=broker.bootstrap,
        value_serializer=lambda value: json.dumps(value).encode(),
    )
    sent: list[dict[str, Any]] = [
        {"source": f"account{i:05}", "target": "b" * 12, "amount": i + 0.5, "currency": "USD"}
        for i in range(1, 1000)
    ]
    for value in sent:
        producer.send(topics.transactions, value=value)
    producer.flush()
    with Service("detector", topics.environment(broker), tmp_path / "log"):
        received = {}
        for topic, n in ((topics.legit, 899), (topics.fraud, 100)):
            consumer = KafkaConsumer(
                topic,
                bootstrap_servers=broker.bootstrap,
                auto_offset_reset="earliest",
                value_deserializer=json.loads,
                consumer_timeout_ms=30_000,
            )
            received[topic] = [m.value for _, m in zip(range(n), consumer, strict=False)]
            consumer.close()
    assert sorted(received[topics.fraud], key=str) == sorted(
        (value for value in sent if value["amount"] >= 900),
        key=str,  # the seed's own rule
    )
    assert len(received[topics.legit]) == 899


def test_key_value_headers_and_timestamp_are_forwarded_unchanged(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    headers = [("trace", b"\x00\xff"), ("trace", b"again"), ("empty", None)]
    at = int(time.time() * 1000) - 5000
    values = [b" " + payment(950, note="héllo") + b"\n", payment(1)]
    records = [(b"key\x00", values[0]), (None, values[1])]
    produce(broker, topics.transactions, records, headers=headers, timestamp=at)
    with Service("detector", topics.environment(broker), tmp_path / "log"):
        found = wait_for(broker, topics.outputs, 2)
    (flagged,) = (m for m in found if m.topic() == topics.fraud)
    assert (flagged.key(), flagged.value()) == (b"key\x00", values[0])
    assert flagged.timestamp()[1] == at
    assert list(flagged.headers() or [])[:3] == headers
    (legit,) = (m for m in found if m.topic() == topics.legit)
    assert (legit.key(), legit.value(), legit.headers()) == (None, values[1], headers)


def test_a_fraud_tells_why(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    produce(broker, topics.transactions, [(b"a", payment(950))])
    with Service("detector", topics.environment(broker), tmp_path / "log") as detector:
        (flagged,) = wait_for(broker, [topics.fraud], 1)
        page = json.loads(detector.get("/ruleset")[1])
    told = decision(flagged)
    assert (told["verdict"], told["score"], told["ruleset"]) == ("fraud", 100, page["hash"])
    assert [(m["rule"], m["generation"], m["reasonCode"]) for m in told["matches"]] == [
        ("high-amount", 1, "HIGH_AMOUNT")
    ]


def test_a_shadow_rule_explains_and_decides_nothing(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    write_rule(tmp_path, "watch", "transaction.amount > 1.0", mode="Shadow")
    produce(broker, topics.transactions, [(b"a", payment())])
    environment = topics.environment(broker) | {"RULES_PATH": str(tmp_path)}
    with Service("detector", environment, tmp_path / "log"):
        (legit,) = wait_for(broker, [topics.legit], 1)
    assert decision(legit)["matches"][0]["mode"] == "Shadow"


def test_bad_records_become_dead_letters_and_good_ones_between_keep_their_verdicts(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    records = []
    for i, case in enumerate(CASES):
        records.append((f"case-{case.name}".encode(), case.value))
        records.append((f"good-{i}".encode(), payment(950 if i % 2 else 5)))
    produce(broker, topics.transactions, records, headers=[("trace", b"1")])
    environment = topics.environment(broker) | {"MAX_LATE_SECONDS": "1000000000"}
    with Service("detector", environment, tmp_path / "log") as detector:
        outputs = wait_for(broker, topics.outputs, len(records))
        assert detector.stop() == 0
    sent = dict(records)
    by_key = {m.key(): m for m in outputs}
    assert len(by_key) == len(outputs) == len(records)
    for case in CASES:
        message = by_key[f"case-{case.name}".encode()]
        assert message.value() == case.value, case.name
        headers = headers_of(message)
        assert headers["trace"] == b"1"
        reason = headers.get("dead-letter.reason", b"").decode() or None
        assert (message.topic() == topics.dead_letters) == (reason is not None)
        assert reason == (case.outcome and str(case.outcome)), case.name
    for key, value in sent.items():
        if key is not None and key.startswith(b"good-"):
            expected = topics.fraud if b"950" in (value or b"") else topics.legit
            assert by_key[key].topic() == expected
    origin = headers_of(by_key[f"case-{CASES[0].name}".encode()])
    assert origin["dead-letter.topic"] == topics.transactions.encode()
    assert origin["dead-letter.offset"].isdigit()


def test_a_teams_own_fields_are_decoded_checked_and_decide(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    (tmp_path / "schema.yml").write_text(
        "fields:\n"
        "- {name: payer, type: string, required: true}\n"
        "- {name: cents, type: int, required: true, minimum: 1}\n"
        "- {name: trusted, type: bool}\n",
        encoding="utf-8",
    )
    rules = tmp_path / "rules"
    rules.mkdir()
    write_rule(rules, "large", "transaction.cents >= 100000 && !transaction.trusted")
    environment = topics.environment(broker) | {
        "RULES_PATH": str(rules),
        "SCHEMA_PATH": str(tmp_path / "schema.yml"),
    }
    records = [
        (b"large", b'{"payer": "a", "cents": 100000}'),
        (b"trusted", b'{"payer": "a", "cents": 100000, "trusted": true}'),
        (b"small", b'{"payer": "a", "cents": 99999}'),
        (b"none", b'{"payer": "a", "cents": 0}'),
    ]
    produce(broker, topics.transactions, records)
    with Service("detector", environment, tmp_path / "log"):
        outputs = wait_for(broker, topics.outputs, 4)
    assert {m.key(): m.topic() for m in outputs} == {
        b"large": topics.fraud,
        b"trusted": topics.legit,
        b"small": topics.legit,
        b"none": topics.dead_letters,
    }


def test_an_edited_rule_decides_and_a_bad_edit_changes_nothing(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    write_rule(rules, "limit", "transaction.amount >= 900.0")
    environment = topics.environment(broker) | {"RULES_PATH": str(rules)}
    with Service("detector", environment, tmp_path / "log") as detector:
        produce(broker, topics.transactions, [(b"before", payment(500))])
        wait_for(broker, [topics.legit], 1)

        write_rule(rules, "limit", "transaction.amount >= 400.0")
        until(lambda: len(detector.lines("ruleset in force")) == 1, "in force")
        produce(broker, topics.transactions, [(b"after", payment(500))])
        (flagged,) = wait_for(broker, [topics.fraud], 1)
        assert flagged.key() == b"after"

        write_rule(rules, "limit", "transaction.amuont >= 1.0")
        until(lambda: detector.lines("rule rejected"), "the bad edit is said")
        produce(broker, topics.transactions, [(b"still", payment(500)), (b"less", payment(5))])
        wait_for(broker, topics.outputs, 4)
        assert {m.key() for m in read_all(broker, [topics.fraud])} == {b"after", b"still"}
        (state,) = json.loads(detector.get("/ruleset")[1])["rules"]
        assert state["state"] == "Stale"
        assert "did you mean `transaction.amount`?" in state["message"]
        metrics = detector.get("/metrics")[1]
    assert 'fraud_rules{state="Stale"} 1.0' in metrics
    assert 'fraud_ruleset_reloads_total{outcome="refused"} 1.0' in metrics


def test_probes_and_metrics_tell_how_it_is(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    records = [(b"a", payment(950)), (b"b", payment(5)), (b"c", b"{")]
    produce(broker, topics.transactions, records)
    with Service("detector", topics.environment(broker), tmp_path / "log") as detector:
        wait_for(broker, topics.outputs, 3)
        until(lambda: detector.get("/readyz")[0] == 200, "ready")
        assert detector.get("/livez")[0] == 200
        assert detector.get("/nothing")[0] == 404
        counted = 'fraud_dead_letters_total{reason="malformed_json"} 1.0'
        until(lambda: counted in detector.get("/metrics")[1], "counted")
        text = detector.get("/metrics")[1]
    assert 'fraud_transactions_total{verdict="fraud"} 1.0' in text
    assert 'fraud_transactions_total{verdict="legit"} 1.0' in text
    assert 'fraud_rule_matches_total{mode="Enforce",rule="high-amount"} 1.0' in text
    assert "fraud_decision_latency_seconds_count 3.0" in text
    assert 'fraud_kafka_transactions_total{outcome="committed"} 0.0' not in text
    assert "fraud_kafka_commit_duration_seconds_count 0.0" not in text
    assert 'fraud_rebalances_total{change="assigned"} 1.0' in text
    assert 'fraud_stopped_amount_total{currency="USD"} 950.0' in text
    assert 'fraud_rule_state{rule="high-amount",state="Ready"} 1.0' in text


def test_tail_shows_frauds_and_dead_letters_in_words(
    broker: Broker,
    topics: Topics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    produce(broker, topics.transactions, [(b"a", payment(950)), (b"b", b"\x1b[31mred")])
    with Service("detector", topics.environment(broker), tmp_path / "log"):
        wait_for(broker, topics.outputs, 2)
    for name, value in topics.environment(broker).items():
        monkeypatch.setenv(name, value)
    past = ["--from-beginning", "--exit-at-end"]
    assert fraud(["tail", "fraud", *past]) == 0
    text = capsys.readouterr().out
    assert "950.00 USD  aaaaaaaaaaaa → bbbbbbbbbbbb  fraud, score 100" in text
    assert "HIGH_AMOUNT (rule high-amount, +100): A single payment of 900 or more." in text
    assert fraud(["tail", "dead-letters", *past]) == 0
    text = capsys.readouterr().out
    assert "malformed_json" in text
    assert "\x1b" not in text
    assert fraud(["tail", "fraud", *past, "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decision"]["matches"][0]["rule"] == "high-amount"


def test_the_checker_takes_the_same_topics_for_whole(broker: Broker, topics: Topics) -> None:
    produce(broker, topics.transactions, [(b"a", payment(i)) for i in range(1, 10)])
    records = read_all(broker, [topics.transactions])
    assert problems(records, records) == []
    assert problems(records, records[1:]) == ["1 records have no verdict"]
