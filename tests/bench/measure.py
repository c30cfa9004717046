"""One run of one contender: its CPU seconds per million records, and its records a second."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.bench.recurring import Recurring
from tools.local_kafka import create_topics
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.local_kafka import Broker

_STARTING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
PARTITIONS = 4
INPUT = "bench.transactions"
# The same number of records, of accounts that come back: for contenders with windows.
RECURRING_INPUT = "bench.recurring"
RECORDS = 1_500_000
ACCOUNTS = 100_000
SEED_RECORDS = 60_000
# Starting up is not what is measured: the clock runs from this share of the records on.
WARM_SHARE = 0.2
_runs = itertools.count(1)
_TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """What one run took."""

    cpu_per_million: float
    per_second: float
    resident_bytes: int = 0
    """At the end of the records."""


class Load(NamedTuple):
    """What contenders run over: a topic that is filled, and how much of it is not yet measured."""

    topic: str
    records: int
    warm_share: float = WARM_SHARE


GENERATED = Load(INPUT, RECORDS)
RECURRING = Load(RECURRING_INPUT, RECORDS)


class Contender(NamedTuple):
    """A program to measure, and the settings it runs with.

    The program is a Python module, or a command line.
    """

    name: str
    program: str | tuple[str, ...]
    settings: dict[str, str]
    load: Load = GENERATED


def fill(broker: Broker) -> None:
    """Write the records that every run reads."""
    create_topics(broker.bootstrap, {INPUT: PARTITIONS})
    settings = {
        "KAFKA_BROKER_URL": broker.bootstrap,
        "TRANSACTIONS_TOPIC": INPUT,
        "TRANSACTIONS_PER_SECOND": "max",
        "TRANSACTIONS_COUNT": str(RECORDS),
        "TRANSACTIONS_SEED": "1",
        "LOG_LEVEL": "error",
    }
    subprocess.run(_command("services.generator"), env=os.environ | settings, check=True)


def fill_recurring(
    broker: Broker,
    topic: str = RECURRING_INPUT,
    profile: Recurring = Recurring(RECORDS, ACCOUNTS),  # noqa: B008 - a tuple, which nothing changes
) -> None:
    """Write the records of accounts that come back; the last of them happened just now."""
    create_topics(broker.bootstrap, {topic: PARTITIONS})
    profile.write(broker, topic, time.time_ns() // 1_000_000 - profile.span_ms)


def run(
    broker: Broker, contender: Contender, look: Callable[[dict[str, str]], None] | None = None
) -> Run:
    """Run a contender over all records, into fresh topics and as a fresh group.

    Args:
        broker: with the records.
        contender: what is measured.
        look: called with the environment once the contender has ended, while
            its group and its outputs are still there.

    """
    group = f"bench-{next(_runs)}"
    environment = make_outputs(broker, group) | contender.settings
    environment["TRANSACTIONS_TOPIC"] = contender.load.topic
    try:
        if contender.program == "tests.bench.seed_loop":
            return _run_seed(environment | {"COUNT": str(SEED_RECORDS)})
        done = _watch(broker, contender, environment)
        if look is not None:
            look(environment)
        return done
    finally:
        delete_topics(broker, group)


def make_outputs(broker: Broker, group: str) -> dict[str, str]:
    """Create a group's output topics, and give the environment that tells of them."""
    outputs = {name: f"{group}.{name.lower()}" for name in ("LEGIT", "FRAUD", "DEAD_LETTER")}
    create_topics(broker.bootstrap, dict.fromkeys(outputs.values(), PARTITIONS))
    return {
        **os.environ,
        **{f"{name}_TOPIC": topic for name, topic in outputs.items()},
        "KAFKA_BROKER_URL": broker.bootstrap,
        "CONSUMER_GROUP": group,
        "LOG_LEVEL": "error",
    }


def delete_topics(broker: Broker, group: str) -> None:
    """Delete a group's outputs, and the changelogs that a contender may have made."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    topics = [
        t for t in admin.list_topics(timeout=10).topics if t.startswith((f"{group}.", f"{group}-"))
    ]
    for deletion in admin.delete_topics(topics).values():
        deletion.result()


def _run_seed(environment: dict[str, str]) -> Run:
    done = subprocess.run(
        _command("tests.bench.seed_loop"), env=environment, check=True, capture_output=True
    )
    told = json.loads(done.stdout)
    return Run(told["cpu"] / SEED_RECORDS * 1e6, SEED_RECORDS / told["seconds"])


def _watch(broker: Broker, contender: Contender, environment: dict[str, str]) -> Run:
    """Measure from outside: committed offsets for the records, /proc for the CPU."""
    group = environment["CONSUMER_GROUP"]
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    topic, records, warm_share = contender.load
    partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    command = _command(contender.program)
    process = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)
    first: tuple[float, float, int] | None = None
    try:
        while True:
            assert process.poll() is None, f"{contender.name} ended"
            done = _committed(consumer, partitions)
            now = (time.monotonic(), cpu_seconds(process.pid), done)
            if first is None and done >= records * warm_share:
                first = now
            if done >= records and first is not None:
                break
            time.sleep(0.05)
        resident = resident_bytes(process.pid)
        process.terminate()
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        consumer.close()
    seconds, cpu, measured = (b - a for a, b in zip(first, now, strict=True))
    assert measured, f"{records:,} records were through between two looks: write more"
    return Run(cpu / measured * 1e6, measured / seconds, resident)


def _committed(consumer: Consumer, partitions: list[TopicPartition]) -> int:
    """How many records are through; a broker that has just started knows of none."""
    try:
        return sum(max(p.offset, 0) for p in consumer.committed(partitions))
    except KafkaException as error:
        if error.args[0].code() in _STARTING:
            return 0
        raise


def resident_bytes(pid: int) -> int:
    """What a process has in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:  # noqa: PTH123 - not a file on a disk
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """What a process has used, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a file on a disk
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _command(program: str | tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", program] if isinstance(program, str) else list(program)
