"""How long a record waits for its committed verdict, seen by a reader beside the stream."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Self

from confluent_kafka import Consumer, TopicPartition

from tests.support.streaming import until
from tools.demo.tally import ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class StallWatch(threading.Thread):
    """Reads committed verdicts from now on, and notes by its clock when each could be read."""

    def __init__(self, bootstrap: str, topics: Iterable[str]) -> None:
        super().__init__(name="stalls", daemon=True)
        self._seen_at: dict[bytes, float] = {}
        self._ending = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "stalls",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        places = ends(bootstrap, topics).items()
        self._consumer.assign([TopicPartition(topic, p, end) for (topic, p), end in places])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.join()
        self._consumer.close()

    def run(self) -> None:
        """Read until the block ends."""
        while not self._ending.is_set():
            messages = self._consumer.consume(1000, 0.01)
            now = time.time()
            for message in messages:
                if message.error() is None and message.value():
                    self._seen_at.setdefault(message.value() or b"", now)

    def until_seen(self, sent_at: Mapping[bytes, float]) -> None:
        """Wait until all that was sent has been seen."""
        until(lambda: sent_at.keys() <= self._seen_at.keys(), "all verdicts seen")

    def longest(self, sent_at: Mapping[bytes, float]) -> float:
        """Longest wait of all, in seconds."""
        return max(self._seen_at[value] - at for value, at in sent_at.items())

    def told(self, sent_at: Mapping[bytes, float], partitions: Mapping[bytes | None, int]) -> str:
        """The longest wait in each partition of the input, and the median of all."""
        waits = defaultdict(list)
        for value, at in sent_at.items():
            waits[partitions[value]].append(self._seen_at[value] - at)
        longest = {partition: max(found) for partition, found in sorted(waits.items())}
        every = sorted(wait for found in waits.values() for wait in found)
        return (
            f"longest stall {max(every):.2f} s (by partition: "
            + ", ".join(f"{p} {seconds:.2f} s" for p, seconds in longest.items())
            + f"), median {statistics.median(every) * 1000:.0f} ms"
            + f", 99 % within {every[len(every) * 99 // 100] * 1000:.0f} ms"
        )
