"""What the console says of detectors and brokers that are slow, away or none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.scene import address
from tests.support.kafka import make_topics
from tests.support.streaming import Service, produce, until
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kafka

FRAUD = b'{"source": "alice", "target": "bob", "amount": 950.0, "currency": "USD"}'


def test_what_is_away_is_said_until_it_is_back(tmp_path: Path) -> None:
    """Takes half a minute: two starts of a broker."""
    with Broker() as broker, socket.create_server(("127.0.0.1", 0)) as silent:
        topics = make_topics(broker)
        asked = f"127.0.0.1:{silent.getsockname()[1]}"
        detectors = {"DETECTORS": f"{asked},127.0.0.1:1,nowhere.invalid:8080"}
        environment = topics.environment(broker) | detectors
        with Service("console", environment, tmp_path / "console.log") as console:
            address(console)

            def said() -> dict[str, str]:
                missing = json.loads(console.get("/state")[1])["missing"]
                return {one["what"]: one["said"] for one in missing}

            kafka = "Kafka's topic of frauds"
            until(lambda: kafka not in said(), "the topic is read")
            assert said()[f"Detector {asked}"] == "no answer within 2 s"
            assert said()["Detector 127.0.0.1:1"] == "no connection to it"
            assert "Detectors at nowhere.invalid" in said()
            broker.stop(kill=True)
            until(lambda: kafka in said(), "it is said")
            since = _since(console, kafka)
            broker.start()
            produce(broker, topics.fraud, [(b"alice", FRAUD)])
            until(lambda: kafka not in said(), "it is said no more")
            assert since > 0
            until(lambda: json.loads(console.get("/state")[1])["frauds"], "the fraud is read")
            assert console.get("/livez") == (200, "ok\n")
            assert console.stop() == 0


def _since(console: Service, what: str) -> float:
    state: Any = json.loads(console.get("/state")[1])
    return float(next(one["since"] for one in state["missing"] if one["what"] == what))


def test_the_newest_frauds_are_kept_in_order(broker: Broker, tmp_path: Path) -> None:
    topics = make_topics(broker)
    values = [FRAUD.replace(b"950.0", b"%d" % n) for n in range(900, 1000)]
    produce(broker, topics.fraud, [(None, value) for value in values])
    environment = topics.environment(broker) | {"DETECTORS": "127.0.0.1:1"}
    with Service("console", environment, tmp_path / "console.log") as console:
        address(console)

        def amounts() -> list[str]:
            frauds = json.loads(console.get("/state")[1])["frauds"]
            return [fraud["money"]["shown"] for fraud in frauds]

        until(lambda: len(amounts()) == 20, "the newest are read")
        produce(broker, topics.fraud, [(b"alice", FRAUD)])
        until(lambda: amounts()[0] == "950.00 USD", "the newest is the first")
        assert len(amounts()) == 20
        # A producer's clock that is ahead puts nothing in front of what comes later.
        ahead_ms = (time.time_ns() // 1_000_000) + 30 * 60_000
        early = FRAUD.replace(b"950.0", b"1.0")
        produce(broker, topics.fraud, [(None, early)] * 25, timestamp=ahead_ms)
        until(lambda: amounts()[0] == "1.00 USD", "they are shown")
        produce(broker, topics.fraud, [(b"alice", FRAUD)])
        until(lambda: amounts()[0] == "950.00 USD", "the newest is the first again")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DETECTORS": "nowhere"}, "DETECTORS is 'nowhere'; expected host:port"),
        ({"DETECTOR": "a:1"}, "DETECTOR is not a setting; did you mean DETECTORS?"),
        ({"STATUS_PORT": "x"}, "STATUS_PORT is 'x'; expected a whole number"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(settings: dict[str, str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.console"],
        env=settings,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"console: {said}")
    assert done.stderr.count("\n") == 1
