"""From append to read-committed output at a steady 2,000 a second, as a reader outside sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Consumer

from tools.local_kafka import create_topics
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from tools.local_kafka import Broker

RATE = 2000
SECONDS = 20
# What starts up (assignment, first connections) is not the steady state.
WARM_UP_SECONDS = 5.0


class Latency(NamedTuple):
    """Quantiles in milliseconds, of so many records."""

    p50: float
    p99: float
    records: int


def measure(broker: Broker, rules: str, number: int) -> Latency:
    """Run generator, detector and a reader for a while."""
    names = ("TRANSACTIONS", "LEGIT", "FRAUD", "DEAD_LETTER")
    topics = {f"{name}_TOPIC": f"latency-{number}.{name.lower()}" for name in names}
    create_topics(broker.bootstrap, dict.fromkeys(topics.values(), 4))
    settings = {
        **os.environ,
        **topics,
        "KAFKA_BROKER_URL": broker.bootstrap,
        "CONSUMER_GROUP": f"latency-{number}",
        "LOG_LEVEL": "error",
        "TRANSACTIONS_PER_SECOND": str(RATE),
        "RULES_PATH": rules,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"], env=settings, preexec_fn=die_with_parent
        )
        for name in ("detector", "generator")
    ]
    try:
        return _read(broker, [topics["LEGIT_TOPIC"], topics["FRAUD_TOPIC"]])
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _read(broker: Broker, topics: list[str]) -> Latency:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": topics[0],
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe(topics)
    waits: list[float] = []
    while (message := consumer.poll(30)) is None or message.error():
        pass
    begun = time.time()
    while time.time() < begun + WARM_UP_SECONDS + SECONDS:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            now = time.time()
            if now > begun + WARM_UP_SECONDS:
                waits.append(now * 1000 - message.timestamp()[1])
    consumer.close()
    waits.sort()
    return Latency(waits[len(waits) // 2], waits[len(waits) * 99 // 100], len(waits))
