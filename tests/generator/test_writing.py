"""The generator as a process that writes to a real broker."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from kafka.partitioner.default import murmur2

from services.generator.profile import Uniform
from services.generator.sending import FLUSH_SECONDS
from services.transactions import load_schema, settle_event_times
from tests.support.kafka import PARTITIONS, make_topics
from tests.support.streaming import Service, Topics, read_all, until
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from confluent_kafka import Message

pytestmark = pytest.mark.kafka

ACKNOWLEDGED = re.compile(
    r'^fraud_generator_transactions_total\{outcome="acknowledged"\} ([\d.e+]+)$', re.MULTILINE
)
TIMESTAMP = re.compile(rb'"timestamp":\d+')


def generator(broker: Broker, topics: Topics, log: Path, **settings: str) -> Service:
    return Service("generator", topics.environment(broker) | settings, log)


def written(broker: Broker, topics: Topics, log: Path, **settings: str) -> list[Message]:
    """Let a generator end by itself, and give what it wrote."""
    with generator(broker, topics, log, **settings) as running:
        assert running.wait() == 0
    return read_all(broker, [topics.transactions])


def acknowledged(running: Service) -> int:
    """What the metric says."""
    found = ACKNOWLEDGED.search(running.get("/metrics")[1])
    return int(float(found[1])) if found else 0


def values(records: list[Message]) -> list[bytes]:
    return [record.value() or b"" for record in records]


def totals(running: Service) -> dict[str, Any]:
    (line,) = running.lines("stopped")
    return {name: line[name] for name in ("sent", "acknowledged", "failed", "unacknowledged")}


def without_time(jsons: list[bytes]) -> list[bytes]:
    """Values without what does not follow from the seed, in an order of their own."""
    return sorted(TIMESTAMP.sub(b"", value) for value in jsons)


@pytest.fixture
def restarted() -> Iterator[Broker]:
    """A broker of the test's own, which may be stopped."""
    with Broker() as running:
        yield running


def test_it_writes_the_count_and_ends(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    settings = {"TRANSACTIONS_COUNT": "5001", "TRANSACTIONS_PER_SECOND": "max"}
    with generator(broker, topics, tmp_path / "log", **settings) as running:
        assert running.wait() == 0
    expected = {"sent": 5001, "acknowledged": 5001, "failed": 0, "unacknowledged": 0}
    assert totals(running) == expected
    assert len(read_all(broker, [topics.transactions])) == 5001


def test_what_it_writes_the_schema_takes(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    settings = {"TRANSACTIONS_COUNT": "2000", "TRANSACTIONS_PER_SECOND": "max"}
    records = written(broker, topics, tmp_path / "log", **settings)
    schema = load_schema(None)
    transactions = list(map(schema.decode, values(records)))
    appended_ms = [record.timestamp()[1] for record in records]
    assert settle_event_times(schema, transactions, appended_ms, 1000) == []
    assert [t.source.encode() for t in transactions] == [record.key() for record in records]


def test_a_key_has_the_partition_that_java_gives_it(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    settings = {"TRANSACTIONS_COUNT": "2000", "TRANSACTIONS_PER_SECOND": "max"}
    records = written(broker, topics, tmp_path / "log", **settings)
    assert {record.partition() for record in records} == set(range(PARTITIONS))
    for record in records:
        assert record.partition() == (murmur2(record.key()) & 0x7FFFFFFF) % PARTITIONS


def test_a_seed_gives_the_same_data_at_any_pace(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    seeded = {"TRANSACTIONS_SEED": "7", "TRANSACTIONS_COUNT": "1500"}
    for number, pace in enumerate(("max", "1500", "700")):
        own = topics if number == 0 else make_topics(broker)
        settings = seeded | {"TRANSACTIONS_PER_SECOND": pace}
        records = written(broker, own, tmp_path / f"{pace}.log", **settings)
        expected = [value for _, value in Uniform(7).records(1500, 0)]
        assert without_time(values(records)) == without_time(expected)


def test_sigterm_loses_nothing(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    with generator(broker, topics, tmp_path / "log", TRANSACTIONS_PER_SECOND="max") as running:
        until(lambda: acknowledged(running) > 10_000, "some are acknowledged")
        assert running.get("/readyz")[0] == running.get("/livez")[0] == 200
        assert running.stop() == 0
    said = totals(running)
    assert said["sent"] == said["acknowledged"] > 10_000
    found = values(read_all(broker, [topics.transactions]))
    assert len(found) == len(set(found)) == said["acknowledged"]


def test_what_the_broker_refuses_is_counted_and_said_and_the_exit_code_is_1(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    tiny = topics._replace(transactions=f"{topics.transactions}-tiny")
    create_topics(broker.bootstrap, {tiny.transactions: 1}, {"max.message.bytes": "50"})
    settings = {"TRANSACTIONS_COUNT": "3000", "TRANSACTIONS_PER_SECOND": "max"}
    with generator(broker, tiny, tmp_path / "log", **settings) as running:
        assert running.wait() == 1
    expected = {"sent": 3000, "acknowledged": 0, "failed": 3000, "unacknowledged": 0}
    assert totals(running) == expected
    complaints = running.lines("not delivered")
    assert "too large" in complaints[0]["reason"].lower()
    assert len(complaints) <= 1 + running.lines("stopped")[0]["seconds"] + FLUSH_SECONDS


def test_it_waits_for_a_late_broker_and_then_writes(restarted: Broker, tmp_path: Path) -> None:
    topics = make_topics(restarted)
    restarted.stop()
    with generator(restarted, topics, tmp_path / "log", TRANSACTIONS_COUNT="100") as running:
        until(lambda: running.lines("waiting for Kafka"), "the wait is said")
        code, reason = running.get("/readyz")
        assert (code, reason) == (503, f"waiting for Kafka at {restarted.bootstrap}\n")
        restarted.start()
        assert running.wait() == 0
    assert totals(running)["acknowledged"] == 100
    assert all(json.loads(line) for line in running.text().splitlines())


def test_at_its_end_it_waits_for_a_broker_that_is_away(restarted: Broker, tmp_path: Path) -> None:
    """Takes 20 s: longer than a stop would wait for acknowledgements."""
    topics = make_topics(restarted)
    settings = {"TRANSACTIONS_COUNT": "3000", "TRANSACTIONS_PER_SECOND": "500"}
    with generator(restarted, topics, tmp_path / "log", **settings) as running:
        until(lambda: acknowledged(running) > 0, "some are acknowledged")
        restarted.stop(kill=True)
        until(lambda: len(running.lines("waiting for Kafka")) > 2, "it waits")
        restarted.start()
        assert running.wait() == 0
    expected = {"sent": 3000, "acknowledged": 3000, "failed": 0, "unacknowledged": 0}
    assert totals(running) == expected
    assert len({record.value() for record in read_all(restarted, [topics.transactions])}) == 3000


def test_a_stop_without_a_broker_is_bounded_and_says_what_was_not_acknowledged(
    restarted: Broker, tmp_path: Path
) -> None:
    """Takes 20 s: the producer's buffer fills while nobody takes any, and the flush gives up."""
    topics = make_topics(restarted)
    with generator(restarted, topics, tmp_path / "log", TRANSACTIONS_PER_SECOND="max") as running:
        until(lambda: acknowledged(running) > 0, "some are acknowledged")
        restarted.stop(kill=True)
        until(lambda: running.lines("waiting for Kafka"), "the full buffer is said")
        assert running.get("/livez")[0] == 200
        assert running.stop() == 1
    said = totals(running)
    assert said["unacknowledged"] > 0
    assert said["sent"] == said["acknowledged"] + said["failed"] + said["unacknowledged"]
    # Only our own lines and librdkafka's, each of them JSON.
    assert all(json.loads(line) for line in running.text().splitlines())
