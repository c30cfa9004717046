"""Asking for a topic never creates it, on a broker that creates topics by itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient

from tests.support.kafka import make_topics
from tests.support.streaming import Service, produce, read_all, until, wait_for
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streaming import Topics

pytestmark = pytest.mark.kafka

PAYMENT = b'{"source": "a", "target": "b", "amount": 5.0, "currency": "USD"}'
MISSPELT = [
    ("detector", {"TRANSACTIONS_TOPIC": "misspelt"}),
    ("detector", {"DEAD_LETTER_TOPIC": "misspelt"}),
    ("generator", {"TRANSACTIONS_TOPIC": "misspelt"}),
    ("cli tail legit", {"LEGIT_TOPIC": "misspelt"}),
    ("cli round-trip", {"TRANSACTIONS_TOPIC": "misspelt"}),
]


def names(broker: Broker) -> set[str]:
    """The topics that the broker has, without its own."""
    found = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=60).topics
    return {name for name in found if not name.startswith("__")}


def delete(broker: Broker, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.delete_topics(list(topics)).values():
        future.result()
    until(lambda: not names(broker) & {*topics}, "the topics are gone")


def test_no_service_and_no_command_creates_a_topic(tmp_path: Path) -> None:
    """Takes a minute: the start of a broker, and of each service."""
    with Broker(properties={"auto.create.topics.enable": "true"}) as broker:
        topics = make_topics(broker)
        environment = topics.environment(broker)
        for name, setting in MISSPELT:
            done = subprocess.run(
                [sys.executable, "-m", *f"services.{name}".split()],
                env={**environment, **setting},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode in {1, 2}
            assert "no topic misspelt at 127.0.0.1:" in done.stderr
        console = environment | {"FRAUD_TOPIC": "misspelt", "DETECTORS": "127.0.0.1:1"}
        with Service("console", console, tmp_path / "console") as page:
            until(lambda: page.lines("topic not read"), "the console misses the topic")
        assert names(broker) == {*topics}
        _deleted_while_they_run(broker, topics, environment, tmp_path)


def _deleted_while_they_run(
    broker: Broker, topics: Topics, environment: dict[str, str], tmp_path: Path
) -> None:
    """The generator ends with a clear error; the detector waits for the topics."""
    with (
        Service("generator", environment, tmp_path / "generator") as generator,
        Service("detector", environment, tmp_path / "detector") as detector,
    ):
        wait_for(broker, [topics.legit], 1)
        delete(broker, topics.transactions)
        assert generator.wait() == 1
        until(lambda: _missed(detector, topics.transactions), "the detector misses its input")
        assert topics.transactions not in names(broker)
        create_topics(broker.bootstrap, {topics.transactions: 4})
        produce(broker, topics.transactions, [(b"new", PAYMENT)])
        until(lambda: _keys(broker, topics.legit) == 1, "the detector goes on")
        earlier = _warnings(detector)
        delete(broker, topics.legit)
        produce(broker, topics.transactions, [(b"new", PAYMENT)])
        until(lambda: _warnings(detector) > earlier, "the detector misses its output", 120)
        assert topics.legit not in names(broker)
        create_topics(broker.bootstrap, {topics.legit: 4})
        until(lambda: _keys(broker, topics.legit) == 1, "the detector goes on", 120)
        assert detector.stop() == 0


def _missed(detector: Service, topic: str) -> bool:
    return any(topic in line["reason"] for line in detector.lines("session ended"))


def _warnings(detector: Service) -> int:
    return len([*detector.lines("session ended"), *detector.lines("transaction aborted")])


def _keys(broker: Broker, topic: str) -> int:
    return sum(m.key() == b"new" for m in read_all(broker, [topic]))
