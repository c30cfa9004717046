"""`fraud round-trip` on a real broker, with a real detector or without one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from services.cli import main as fraud
from services.cli.round_trip import own_transaction
from tests.support.streaming import Service, Topics, produce, read_all, until
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

kafka = pytest.mark.kafka

RULE = """\
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {name: tests}
spec: {expression: '%s'}
"""
TESTS = 'transaction.channel == "test" && transaction.amount < 5.0'
SCHEMA = """\
fields:
- {name: payer, type: string, required: true}
- {name: cents, type: int, required: true, minimum: 1}
"""
OWN = {"payer": "a test", "cents": 1}


@pytest.fixture
def environment(broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of the stream, which the command has too."""
    environment = topics.environment(broker)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def sent(text: str) -> dict[str, Any]:
    """The transaction that the command says it has sent."""
    found = re.search(r"^sent (.*)$", text, re.MULTILINE)
    assert found, text
    value: dict[str, Any] = json.loads(found[1])
    return value


@kafka
def test_a_transaction_goes_through_and_only_its_own_verdict_counts(
    broker: Broker,
    topics: Topics,
    environment: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    earlier = json.dumps(own_transaction()).encode()
    produce(broker, topics.legit, [(b"earlier", earlier)])
    with Service("detector", environment, tmp_path / "log") as detector:
        until(lambda: detector.lines("partitions ready"), "the detector has its partitions")
        codes = [fraud(["round-trip"]) for _ in range(2)]
        text = capsys.readouterr().out
    assert codes == [0, 0], text
    written = {m.key(): m.value() for m in read_all(broker, [topics.transactions])}
    assert sent(text)["source"].encode() in written
    assert len(written) == 2  # accounts of their own, so that no window adds them up
    judged = [m for m in read_all(broker, [topics.legit]) if m.key() != b"earlier"]
    assert {m.key(): m.value() for m in judged} == written
    for message in judged:
        place = f"{message.topic()}-{message.partition()}-{message.offset()}"
        assert re.search(rf"^verdict: legit after \d+\.\d\d s, as {place}$", text, re.MULTILINE)


@kafka
def test_a_fraud_is_a_verdict_too_and_is_explained(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rule.yaml").write_text(RULE % TESTS, encoding="utf-8")
    settings = environment | {"RULES_PATH": str(tmp_path / "rule.yaml")}
    with Service("detector", settings, tmp_path / "log"):
        assert fraud(["round-trip"]) == 0
    text = capsys.readouterr().out
    assert "verdict: fraud after" in text
    assert "(rule tests, +100)" in text


@kafka
def test_where_the_schema_is_ones_own_the_fields_are_given(
    broker: Broker,
    topics: Topics,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (tmp_path / "rule.yaml").write_text(RULE % "transaction.cents > 100", encoding="utf-8")
    own = {"SCHEMA_PATH": str(tmp_path / "schema.yaml"), "KEYED_BY": "payer"}
    settings = environment | own | {"RULES_PATH": str(tmp_path / "rule.yaml")}
    monkeypatch.setenv("KEYED_BY", "payer")
    with Service("detector", settings, tmp_path / "log"):
        assert fraud(["round-trip"]) == 1
        text = capsys.readouterr().out
        assert "no verdict: a dead letter after" in text
        assert "missing_field" in text
        assert "test.transaction" in text
        assert fraud(["round-trip", "--transaction", json.dumps(OWN)]) == 0
    text = capsys.readouterr().out
    assert "verdict: legit" in text
    assert OWN.items() <= sent(text).items()
    keys = {m.key() for m in read_all(broker, [topics.transactions])}
    assert keys == {None, b"a test"}


@kafka
def test_without_a_detector_it_says_what_was_sent_how_long_it_waited_and_what_to_look_at(
    topics: Topics, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fraud(["round-trip", "--timeout", "2"]) == 1
    text = capsys.readouterr().out
    assert sent(text)["channel"] == "test"
    assert f"  as {topics.transactions}-" in text
    assert f"no verdict: not within 2 s in {', '.join(topics.outputs)}" in text
    assert "Nothing else came either. Look whether a detector runs and is ready" in text
    assert f"in the group {environment['CONSUMER_GROUP']}" in text


@kafka
def test_others_that_come_meanwhile_show_that_detectors_run(
    broker: Broker,
    topics: Topics,
    environment: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A detector that reads another topic, as one that is far behind does not come to this record.
    elsewhere = environment | {"TRANSACTIONS_TOPIC": topics.dead_letters}
    elsewhere |= {"DEAD_LETTER_TOPIC": topics.transactions}
    generator = {"TRANSACTIONS_TOPIC": topics.dead_letters, "TRANSACTIONS_PER_SECOND": "100"}
    kafka_at = {"KAFKA_BROKER_URL": broker.bootstrap}
    with (
        Service("detector", elsewhere, tmp_path / "detector"),
        Service("generator", kafka_at | generator, tmp_path / "generator") as writing,
    ):
        until(lambda: len(read_all(broker, [topics.legit])) > 0, "verdicts of others")
        assert writing.alive
        assert fraud(["round-trip", "--timeout", "2"]) == 1
    said = re.search(r"Meanwhile ([\d,]+) other records came", capsys.readouterr().out)
    assert said


@kafka
def test_a_topic_that_is_not_there_is_named(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FRAUD_TOPIC", "nowhere")
    assert fraud(["round-trip"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"fraud: no topic nowhere at {environment['KAFKA_BROKER_URL']}")


def test_a_broker_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("KAFKA_BROKER_URL", f"127.0.0.1:{port}")
    assert fraud(["round-trip"]) == 2
    assert f"at 127.0.0.1:{port}; KAFKA_BROKER_URL names the broker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--transaction", "{"], "is no JSON"),
        (["--transaction", "[1]"], "expected a JSON object"),
        (["--timeout", "soon"], "expected seconds"),
        (["--timeout", "0"], "expected seconds"),
        (["--timeout", "nan"], "expected seconds"),
    ],
)
def test_a_mistake_in_the_command_is_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        fraud(["round-trip", *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
