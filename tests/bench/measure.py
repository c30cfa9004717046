"""One run of one contender: its CPU seconds per million records and its records a second."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from services.local_kafka import create_topics
from services.this_machine import die_with_parent

if TYPE_CHECKING:
    from services.local_kafka import Broker

PARTITIONS = 4
INPUT = "bench.transactions"
RECORDS = 1_500_000
SEED_RECORDS = 60_000
# Starting up is not what is measured: the clock runs from this share of the records on.
WARM_SHARE = 0.2
_runs = itertools.count(1)
_TICKS = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    """What one run took."""

    cpu_per_million: float
    per_second: float


class Contender(NamedTuple):
    """A program to measure, and the settings it runs with."""

    name: str
    module: str
    settings: dict[str, str]


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


def run(broker: Broker, contender: Contender) -> Run:
    """Run a contender over all records, into fresh topics and as a fresh group."""
    number = next(_runs)
    outputs = {name: f"bench-{number}.{name.lower()}" for name in ("LEGIT", "FRAUD", "DEAD_LETTER")}
    create_topics(broker.bootstrap, dict.fromkeys(outputs.values(), PARTITIONS))
    environment = {
        **os.environ,
        **contender.settings,
        **{f"{name}_TOPIC": topic for name, topic in outputs.items()},
        "KAFKA_BROKER_URL": broker.bootstrap,
        "TRANSACTIONS_TOPIC": INPUT,
        "CONSUMER_GROUP": f"bench-{number}",
        "LOG_LEVEL": "error",
    }
    try:
        if contender.module == "tests.bench.seed_loop":
            return _run_seed(environment | {"COUNT": str(SEED_RECORDS)})
        return _watch(broker, contender.module, environment)
    finally:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for deletion in admin.delete_topics(list(outputs.values())).values():
            deletion.result()


def _run_seed(environment: dict[str, str]) -> Run:
    done = subprocess.run(
        _command("tests.bench.seed_loop"), env=environment, check=True, capture_output=True
    )
    told = json.loads(done.stdout)
    return Run(told["cpu"] / SEED_RECORDS * 1e6, SEED_RECORDS / told["seconds"])


def _watch(broker: Broker, module: str, environment: dict[str, str]) -> Run:
    """Measure from outside: committed offsets for the records, /proc for the CPU."""
    group = environment["CONSUMER_GROUP"]
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    partitions = [TopicPartition(INPUT, p) for p in range(PARTITIONS)]
    process = subprocess.Popen(_command(module), env=environment, preexec_fn=die_with_parent)
    first: tuple[float, float, int] | None = None
    try:
        while True:
            assert process.poll() is None, f"{module} ended"
            done = sum(max(p.offset, 0) for p in consumer.committed(partitions))
            now = (time.monotonic(), _cpu_seconds(process.pid), done)
            if first is None and done >= RECORDS * WARM_SHARE:
                first = now
            if done >= RECORDS and first is not None:
                break
            time.sleep(0.05)
        process.terminate()
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        consumer.close()
    seconds, cpu, records = (b - a for a, b in zip(first, now, strict=True))
    return Run(cpu / records * 1e6, records / seconds)


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a file on a disk
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _command(module: str) -> list[str]:
    return [sys.executable, "-m", module]
