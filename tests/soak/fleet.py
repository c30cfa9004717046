"""Detectors as processes, some of them at a time."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.support.streaming import Service, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.streaming import Topics

_JUDGED = "fraud_transactions_total{"


class Fleet:
    """The detectors of one stream. Started from the main thread, ended with the `with` block."""

    def __init__(self, topics: Topics, environment: dict[str, str], folder: Path) -> None:
        self._topics = topics
        self._environment = environment
        self._folder = folder
        self._all: dict[str, Service] = {}
        self._running: set[str] = set()
        self._started_before: dict[str, int] = {}
        self.starts = self.stops = self.kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for detector in self._all.values():
            detector.kill()

    def start(self, name: str, module: str = "") -> Service:
        """Start a detector, again perhaps."""
        if name not in self._all:
            self._all[name] = Service(
                "detector",
                self._environment | {"INSTANCE_ID": name},
                self._folder / f"{name}.log",
            )
        self._started_before[name] = len(self._all[name].lines("started"))
        self._all[name].start(module)
        self._running.add(name)
        self.starts += 1
        return self._all[name]

    def stop(self, name: str) -> None:
        """Stop one as a deployment does."""
        until(lambda: self._has_started(name), f"{name} has started")
        assert self._all[name].stop() == 0, self._end_of_log(name)
        self._running.discard(name)
        self.stops += 1

    def kill(self, name: str) -> None:
        """Kill -9."""
        self._all[name].kill()
        self._running.discard(name)
        self.kills += 1

    def restart(self, name: str) -> None:
        """Stop one and start it again, and wait until it has partitions."""
        self.stop(name)
        detector = self.start(name)
        until(lambda: self._has_started(name), f"{name} has started")
        until(lambda: detector.get("/readyz")[0] == 200, f"{name} is ready")

    def stop_all(self) -> None:
        """Stop all that run."""
        for name in sorted(self._running):
            self.stop(name)

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What all of them logged of an event."""
        return [line for detector in self._all.values() for line in detector.lines(event)]

    @property
    def running(self) -> list[Service]:
        """The detectors that should run now."""
        return [self._all[name] for name in sorted(self._running)]

    def judged(self) -> float:
        """Number of transactions that those that run have judged since they started."""
        pages = (detector.get("/metrics")[1].splitlines() for detector in self.running)
        counts = (line for page in pages for line in page if line.startswith(_JUDGED))
        return sum(float(line.split()[-1]) for line in counts)

    def check(self) -> None:
        """Fail where one has ended by itself."""
        for name in self._running:
            assert self._all[name].alive, f"{name} ended by itself:\n{self._end_of_log(name)}"

    def pages(self) -> list[dict[str, Any]]:
        """What each says of its rules."""
        return [json.loads(detector.get("/ruleset")[1]) for detector in self.running]

    def hash_in_force(self) -> str:
        """The ruleset that decides on all, once it is one, and nothing is to come."""

        def settled() -> str:
            self.check()
            if not all(map(self._has_started, self._running)):
                return ""
            pages = self.pages()
            hashes = {page["hash"] for page in pages}
            pending = any(page["pending"] for page in pages)
            return hashes.pop() if len(hashes) == 1 and not pending else ""

        return until(settled, "one ruleset in force")

    def come_and_go(self, going_on: Callable[[], bool], every_seconds: float, seed: int) -> None:
        """Add and remove detectors, between one and three."""
        rng = random.Random(seed)
        while self.pause(going_on, every_seconds):
            absent = sorted({"d0", "d1", "d2"} - self._running)
            if absent and (len(self._running) == 1 or rng.random() < 0.5):
                self.start(rng.choice(absent))
            else:
                self.stop(rng.choice(sorted(self._running)))

    def kill_often(self, going_on: Callable[[], bool], every_seconds: float, seed: int) -> None:
        """Kill one of those that run, and start it again at once."""
        rng = random.Random(seed)
        while self.pause(going_on, every_seconds * rng.uniform(0.5, 1.5)):
            name = rng.choice(sorted(self._running))
            self.kill(name)
            self.start(name)

    def pause(self, going_on: Callable[[], bool], seconds: float) -> bool:
        """Let time pass while something goes on; False when it has ended before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            if not going_on():
                return False
            time.sleep(0.1)  # between two looks
        return True

    def pause_while(self, going_on: Callable[[], bool]) -> None:
        """Let time pass until something has ended."""
        while self.pause(going_on, 60):
            pass

    def until_judged(
        self, bootstrap: str, ends: dict[int, int], partitions: int, seconds: float
    ) -> None:
        """Wait until the group has committed all records of the input.

        Args:
            bootstrap: the broker's address.
            ends: the offset after the last committed record, by partition.
            partitions: how many there are.
            seconds: how long there may be no progress.

        """
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": self.group})
        places = [TopicPartition(self._topics.transactions, p) for p in range(partitions)]
        before: list[int] = []
        since = time.monotonic()
        while True:
            self.check()
            try:
                now = [place.offset for place in consumer.committed(places, 5)]
            except KafkaException:  # the coordinator is busy
                now = before
            if all(place >= ends.get(p, 0) for p, place in enumerate(now)) and now:
                break
            if now != before:
                before, since = now, time.monotonic()
            logs = "\n".join(self._end_of_log(name) for name in sorted(self._running))
            assert time.monotonic() - since < seconds, f"stands still at {now} of {ends}\n{logs}"
            time.sleep(0.1)  # between two looks
        consumer.close()

    @property
    def group(self) -> str:
        """Their consumer group."""
        return self._environment["CONSUMER_GROUP"]

    def _has_started(self, name: str) -> bool:
        """Whether it has logged so since its last start: then it hears signals."""
        return len(self._all[name].lines("started")) > self._started_before[name]

    def _end_of_log(self, name: str) -> str:
        return self._all[name].text()[-1500:]
