"""The broker goes away for a minute, and everything goes on by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.test_exactly_once import wait_until_judged
from tests.end_to_end.verdicts import problems
from tests.support.kafka import make_topics
from tests.support.streaming import Service, read_all, wait_for
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kafka

OUTAGE_SECONDS = 60.0


def test_a_minute_without_the_broker_loses_nothing(tmp_path: Path) -> None:
    """Takes 80 s: the minute, two starts of a broker, and the catching up."""
    with Broker() as broker:
        topics = make_topics(broker)
        environment = topics.environment(broker)
        rate = {"TRANSACTIONS_PER_SECOND": "500"}
        generator = Service("generator", environment | rate, tmp_path / "generator.log")
        detector = Service("detector", environment, tmp_path / "detector.log")
        with generator, detector:
            wait_for(broker, topics.outputs, 500)
            broker.stop(kill=True)
            time.sleep(OUTAGE_SECONDS)  # the outage itself
            assert detector.alive
            assert detector.get("/livez")[0] == 200
            broker.start()
            before = len(read_all(broker, topics.outputs))
            wait_for(broker, topics.outputs, before + 1000)
            assert generator.stop() == 0
            wait_until_judged(broker, topics, detector)
            assert detector.stop() == 0
        inputs = read_all(broker, [topics.transactions])
        assert problems(inputs, read_all(broker, topics.outputs)) == []
