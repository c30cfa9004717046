"""A mistake in the settings ends in one clear line and a code that is not 0, or in a said wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.streaming import Service, Topics, until

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

MISTAKES = [
    ("detector", {"RULE_PATH": "x"}, "RULE_PATH is not a setting; did you mean RULES_PATH?"),
    ("detector", {"SCORE_THRESHOLD": "0"}, "SCORE_THRESHOLD is '0'; expected a whole number"),
    ("detector", {"SCORE_THRESHOLD": "many"}, "SCORE_THRESHOLD is 'many'; expected a whole number"),
    ("detector", {"DELIVERY": "twice"}, "DELIVERY is 'twice'"),
    ("detector", {"RULES_PATH": "/nowhere"}, "RULES_PATH: /nowhere does not exist"),
    ("detector", {"RULES_PATH": "tests/end_to_end"}, "holds no FraudRule that can go live"),
    ("detector", {"SCHEMA_PATH": "/nowhere"}, "/nowhere: cannot be read"),
    ("detector", {"FRAUD_TOPIC": "missing"}, "no topic missing at 127.0.0.1:"),
    (
        "detector",
        {"STATUS_PORT": "70000"},
        "STATUS_PORT is '70000'; expected a whole",
    ),
    ("generator", {"TRANSACTIONS_TOPIC": "missing"}, "no topic missing at 127.0.0.1:"),
    ("generator", {"TRANSACTIONS_PER_SECOND": "0"}, "TRANSACTIONS_PER_SECOND is '0'"),
    ("generator", {"TRANSACTIONS_PER_SECONDS": "5"}, "did you mean TRANSACTIONS_PER_SECOND?"),
    ("generator", {"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL is 'TLS'"),
]


@pytest.mark.parametrize(("service", "settings", "said"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_line_and_an_exit_code(
    broker: Broker,
    topics: Topics,
    tmp_path: Path,
    service: str,
    settings: dict[str, str],
    said: str,
) -> None:
    environment = topics.environment(broker) | settings
    with Service(service, environment, tmp_path / "log") as started:
        assert started.wait() in {1, 2}
    plain = [line for line in started.text().split("\n") if line and not line.startswith("{")]
    assert len(plain) == 1
    assert said in plain[0]


@pytest.mark.parametrize("service", ["detector", "generator"])
def test_a_broker_that_is_not_there_is_waited_for_and_said(tmp_path: Path, service: str) -> None:
    nobody = {"KAFKA_BROKER_URL": "127.0.0.1:1"}
    with Service(service, nobody, tmp_path / "log") as started:
        (first, *_) = until(lambda: started.lines("waiting for Kafka"), "the wait is said")
        assert first["broker"] == "127.0.0.1:1"
        assert started.stop() == 0


def test_a_second_detector_of_the_same_name_ends_one_of_the_two(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    environment = topics.environment(broker)
    first = Service("detector", environment, tmp_path / "first.log")
    second = Service("detector", environment, tmp_path / "second.log")
    with first:
        until(lambda: first.lines("partitions assigned"), "assigned")
        with second:
            assert first.wait() == 2
            assert "another detector has INSTANCE_ID 'test'" in first.text()
            assert second.alive
