"""How long a partition stands still when a detector stops, crashes or is replaced.

    python -m tests.bench.handover

Two detectors judge 1,000 transactions a second of 4 partitions, as members of a
Deployment (dynamic) and of a StatefulSet (static). Writes docs/performance-handover.md.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from confluent_kafka import Producer

from tests.bench.machine import machine
from tests.soak.stalls import StallWatch
from tests.support.streaming import Service, Topics, until
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path("docs/performance-handover.md")
PER_SECOND = 1000
PARTITIONS = 4
# As charts/kafka-cluster sets it: how often a broker looks for transactions to abort.
PROPERTIES = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
SETTLE_SECONDS = 3.0
AFTER_SECONDS = 22.0
_numbers = itertools.count(1)


class Load(threading.Thread):
    """Writes transactions at a pace, and notes when each was handed to the producer."""

    def __init__(self, broker: Broker, topic: str) -> None:
        super().__init__(name="load", daemon=True)
        self.sent_at: dict[bytes, float] = {}
        self.partitions: dict[bytes | None, int] = {}
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 1})
        self._ending = threading.Event()

    def run(self) -> None:
        """Write until it is ended."""
        begun = time.monotonic()
        for n in itertools.count():
            if self._ending.is_set():
                break
            time.sleep(max(begun + n / PER_SECOND - time.monotonic(), 0))
            source = f"account-{n % 1000}"
            fields = {"source": source, "target": "shop", "amount": 5, "currency": "USD", "n": n}
            value = json.dumps(fields).encode()
            self.sent_at[value] = time.time()
            self.partitions[value] = n % PARTITIONS
            self._producer.produce(self._topic, value, source.encode(), n % PARTITIONS)
            self._producer.poll(0)
        self._producer.flush(60)

    def finish(self) -> None:
        """End, and wait until all is acknowledged."""
        self._ending.set()
        self.join()


class Pods:
    """The detectors of one kind of workload; ended with the `with` block."""

    def __init__(self, broker: Broker, topics: Topics, folder: Path, *, static: bool) -> None:
        self._environment = topics.environment(broker)
        self._folder = folder
        self.static = static
        self._made: list[Service] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pod in self._made:
            pod.kill()

    def start(self, name: str) -> Service:
        """Start a pod, and wait until it is ready."""
        instance = name if self.static else ""
        log = self._folder / f"{name}-{next(_numbers)}.log"
        pod = Service("detector", self._environment | {"INSTANCE_ID": instance}, log)
        self._made.append(pod)
        pod.start()
        until(lambda: pod.lines("started"), "started")
        until(lambda: pod.get("/readyz")[0] == 200, "ready")
        return pod


def measure(
    broker: Broker, event: Callable[[Pods, Service, Service], None], *, static: bool
) -> str:
    """Longest stall of any partition while something happens to two detectors, in seconds."""
    topics = Topics(*(f"handover-{next(_numbers)}.{name}" for name in Topics._fields))
    create_topics(broker.bootstrap, dict.fromkeys(topics, PARTITIONS))
    with (
        tempfile.TemporaryDirectory() as name,
        Pods(broker, topics, Path(name), static=static) as pods,
    ):
        first, second = pods.start("a"), pods.start("b")
        load = Load(broker, topics.transactions)
        with StallWatch(broker.bootstrap, topics.outputs) as watch:
            load.start()
            time.sleep(SETTLE_SECONDS)
            begun = time.time()
            event(pods, first, second)
            time.sleep(AFTER_SECONDS)
            load.finish()
            watch.until_seen(load.sent_at)
            sent = {value: at for value, at in load.sent_at.items() if at >= begun}
            return f"{watch.longest(sent):.1f} s"


def stops(_: Pods, __: Service, second: Service) -> None:
    """A pod is deleted, and none takes its place."""
    second.stop()


def crashes(pods: Pods, _: Service, second: Service) -> None:
    """A container crashes, and kubelet starts it again."""
    second.kill()
    pods.start("b")


def is_lost(_: Pods, __: Service, second: Service) -> None:
    """A node is lost with its pod."""
    second.kill()


def is_updated(pods: Pods, first: Service, second: Service) -> None:
    """A rolling update: a Deployment starts the next pod before it ends one."""
    for name, old in (("b", second), ("a", first)):
        if pods.static:
            old.stop()
            pods.start(name)
        else:
            pods.start(name)
            old.stop()


EVENTS = {
    "a pod stops and does not come back": stops,
    "a container crashes and is started again": crashes,
    "a node is lost": is_lost,
    "a rolling update of both": is_updated,
}


def main() -> int:
    """Measure, print as it goes, and write the page."""
    rows = []
    with Broker(properties=PROPERTIES) as broker:
        for name, event in EVENTS.items():
            found = [measure(broker, event, static=static) for static in (False, True)]
            rows.append(f"| {name} | {found[0]} | {found[1]} |")
            sys.stdout.write(rows[-1] + "\n")
            sys.stdout.flush()
    PAGE.write_text(
        _TEXT.format(
            date=datetime.now(UTC).date(),
            machine=machine("confluent-kafka"),
            per_second=PER_SECOND,
            rows="\n".join(rows),
        ),
        encoding="utf-8",
    )
    return 0


_TEXT = """\
# Hand-over of partitions

Written by `python -m tests.bench.handover` on {date}. Machine: {machine}. Broker, detectors and
measurement share it.

Two detectors judge {per_second:,} transactions a second of 4 partitions with the sample rules. The
figures are the longest time that a transaction of any partition waited for its committed verdict,
one run each. A window's history is short here: add what a warm-up takes
([performance-windows.md](performance-windows.md)).

| | Deployment (dynamic membership) | StatefulSet (static membership) |
| --- | --- | --- |
{rows}
"""


if __name__ == "__main__":
    sys.exit(main())
