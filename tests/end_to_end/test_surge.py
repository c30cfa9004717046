"""A detector too many for the partitions, as each update of a Deployment starts one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.streaming import Service, produce, until, wait_for
from tools.local_kafka import create_topics

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

VALUE = b'{"source": "a", "target": "b", "amount": 1.0, "currency": "USD"}'


def test_a_detector_without_partitions_is_ready_and_takes_over_from_one_that_stops(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Kubernetes stops an old detector once the new one is ready: it would wait for ever."""
    topic = f"{topics.transactions}.one-partition"
    create_topics(broker.bootstrap, {topic: 1})
    environment = topics.environment(broker) | {"INSTANCE_ID": "", "TRANSACTIONS_TOPIC": topic}
    old, new = (
        Service("detector", environment, tmp_path / f"{name}.log") for name in ("old", "new")
    )
    with old, new:
        until(lambda: [d.get("/readyz")[0] for d in (old, new)] == [200, 200], "both are ready")
        owners = [
            d for d in (old, new) if any(e["partitions"] for e in d.lines("partitions assigned"))
        ]
        (owner,) = owners
        other = new if owner is old else old
        produce(broker, topic, [(b"a", VALUE)])
        wait_for(broker, topics.outputs, 1)
        assert owner.stop() == 0
        produce(broker, topic, [(b"a", VALUE)])
        wait_for(broker, topics.outputs, 2)
        assert other.stop() == 0
