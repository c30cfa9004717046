"""From `kubectl apply` to the first decision under the new rule, on every partition.

Real API server, operator, broker and two detectors; what kubelet does for a
mounted ConfigMap is done by a stand-in that syncs when a pod is annotated, and
else once a minute, as kubelet does. Writes docs/performance-rules.md.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Consumer

from tests.bench.machine import machine
from tests.operator.system import Operated, rule
from tests.support.kafka import make_topics
from tests.support.kubernetes import ApiServer
from tests.support.streaming import Service
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from confluent_kafka import Message

    from tests.support.streaming import Topics

PAGE = Path("docs/performance-rules.md")
EDITS = 100
DETECTORS = 2
PARTITIONS = 4
RATE = 1000
OTHER_RULES = 50
LIMIT_SECONDS = 60.0


def main() -> None:
    """Measure, print, and write the page."""
    with tempfile.TemporaryDirectory() as name, Broker() as broker, ApiServer() as server:
        server.install()
        topics = make_topics(broker)
        with Operated(server, Path(name)) as system:
            for n in range(DETECTORS):
                system.add_detector(f"detector-{n}", broker, topics)
            environment = topics.environment(broker) | {"TRANSACTIONS_PER_SECOND": str(RATE)}
            with Service("generator", environment, Path(name, "generator.log")):
                times = measure(system, broker, topics)
    page = _TEXT.format(
        date=datetime.now(UTC).date(),
        machine=machine("confluent-kafka", "kopf", "cel-expr-python"),
        edits=EDITS,
        others=OTHER_RULES,
        detectors=DETECTORS,
        rate=RATE,
        p50=1000 * statistics.median(times),
        p99=1000 * statistics.quantiles(times, n=100)[98],
        most=1000 * max(times),
        reached="reached" if statistics.quantiles(times, n=100)[98] < 2 else "missed",
    )
    PAGE.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


def measure(system: Operated, broker: Broker, topics: Topics) -> list[float]:
    """Edit a rule again and again; the seconds that each edit took to reach all partitions."""
    system.apply(*(rule(f"other-{n}", limit=1e6 + n, mode="Shadow") for n in range(OTHER_RULES)))
    system.apply(rule("every", limit=0.0, description="edit 0"))
    system.until_condition("every", "Applied", "True")
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "apply-to-live",
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe([topics.fraud])
    times = []
    for n in range(EDITS):
        begun = time.monotonic()
        system.apply(rule("every", limit=0.0, description=f"edit {n + 1}"))
        _await_everywhere(consumer, n + 2)
        times.append(time.monotonic() - begun)
        sys.stderr.write(f"edit {n + 1}: {1000 * times[-1]:.0f} ms\n")
    consumer.close()
    return times


def _await_everywhere(consumer: Consumer, generation: int) -> None:
    """Read until each partition has a decision under this generation of the rule."""
    left = set(range(PARTITIONS))
    deadline = time.monotonic() + LIMIT_SECONDS
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"generation {generation} not on partitions {sorted(left)}")
        for message in consumer.consume(1000, 0.01):
            if message.error() is None and _generation(message) == generation:
                left.discard(message.partition() or 0)


def _generation(message: Message) -> int:
    """The generation under which the rule that matches everything decided."""
    headers = dict(message.headers() or [])
    matches = json.loads(headers["fraud.decision"] or b"{}")["matches"]
    return next(int(match["generation"]) for match in matches if match["rule"] == "every")


_TEXT = """\
# From `kubectl apply` to live

Written by `make bench` on {date}. Machine: {machine}. All of it shares the machine: API server,
etcd, operator, broker, {detectors} detectors, generator and reader.

{edits} edits of one rule of {others} more, at {rate:,} transactions a second. Measured from the
start of `kubectl apply` (the process itself included) to the first decision under the new version
on the last of the partitions, as a read-committed consumer of the fraud topic sees it. The mount of
the rules is refreshed by a stand-in for kubelet: when a pod is annotated, and else once a minute.

| edits | p50 | p99 | most | target: p99 < 2 s |
| --- | --- | --- | --- | --- |
| {edits} | {p50:.0f} ms | {p99:.0f} ms | {most:.0f} ms | {reached} |
"""


if __name__ == "__main__":
    main()
