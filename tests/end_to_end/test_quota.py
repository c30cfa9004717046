"""A quota on what the detector may write: transactions become as small as they have to be."""

from __future__ import annotations

import json
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.verdicts import problems
from tests.support.streaming import WAIT_SECONDS, Service, Topics, produce, read_all, until
from tools.local_kafka.distribution import java, kafka_jars

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

RECORDS = 8000
BYTES_PER_SECOND = 150_000


def limit(broker: Broker, client_id: str) -> None:
    """Set a quota for a client, with Kafka's own tool: confluent-kafka offers no such call."""
    tool = [java(), "-Xmx256m", "-cp", f"{kafka_jars()}/*", "kafka.admin.ConfigCommand"]
    quota = ["--alter", "--add-config", f"producer_byte_rate={BYTES_PER_SECOND}"]
    client = ["--entity-type", "clients", "--entity-name", client_id]
    subprocess.run(
        [*tool, "--bootstrap-server", broker.bootstrap, *quota, *client],
        check=True,
        capture_output=True,
        timeout=WAIT_SECONDS,
    )


def test_a_backlog_under_a_quota_is_judged_once_and_without_many_attempts(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Takes 40 s: 3 MB that do not compress well, at 150 kB/s."""
    rng = random.Random(8)
    values = (
        {"source": "alice", "target": "b", "amount": 5, "currency": "USD", "id": str(n)}
        | {"note": rng.randbytes(150).hex()}
        for n in range(RECORDS)
    )
    produce(broker, topics.transactions, ((b"alice", json.dumps(v).encode()) for v in values))
    name = f"limited-{topics.transactions}"
    limit(broker, name)
    environment = topics.environment(broker) | {"INSTANCE_ID": name}
    with Service("detector", environment, tmp_path / "log") as detector:

        def all_judged() -> bool:
            assert detector.alive
            return len(read_all(broker, topics.outputs)) >= RECORDS

        until(all_judged, "the backlog is judged", 3 * WAIT_SECONDS)
        given_up = len(detector.lines("session ended") + detector.lines("transaction aborted"))
    # From 10,000 records on, halved to what can be written before a call is overdue.
    assert given_up <= 12
    inputs = read_all(broker, [topics.transactions])
    assert problems(inputs, read_all(broker, topics.outputs)) == []
