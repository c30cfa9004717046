"""Brokers that restart under load: one verdict for each input, and detectors that end when asked.

A detector with five overdue calls ends with a message, and is started again as Kubernetes would.
"""

from __future__ import annotations

import random
import statistics
import time
import urllib.error
from collections import defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.end_to_end.verdicts import problems
from tests.soak.brokers import Brokers
from tests.support.streaming import Service, Topics, read_all, until
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTITIONS = 4
# Between the return of a broker and its next end, once the stream has moved.
REST_SECONDS = 4.0
STILL_SECONDS = 180.0
# Consumer, producer, and clients that ask about topic and group. Abandoned ones come on top while
# their calls have not returned; with the fifth the process ends.
MOST_CLIENTS = 7
MOST_ABANDONED = 4
# Exit code of a detector that cannot continue.
STREAM_ERROR = 2


def restarts_of_one_broker(folder: Path, restarts: int, seed: int) -> str:
    """Restart the only broker, by SIGTERM and by SIGKILL."""
    with Broker() as broker:
        return _restarts(broker.bootstrap, [broker], folder, restarts, seed)


def restarts_of_three_brokers(folder: Path, restarts: int, seed: int) -> str:
    """Restart one of three brokers at a time, by SIGTERM and by SIGKILL."""
    with Brokers() as brokers:
        return _restarts(brokers.bootstrap, brokers.members, folder, restarts, seed)


def _restarts(
    bootstrap: str, members: Sequence[Broker], folder: Path, restarts: int, seed: int
) -> str:
    rng = random.Random(seed)
    topics = Topics(*(f"restarts.{name}" for name in Topics._fields))
    create_topics(bootstrap, dict.fromkeys(topics, PARTITIONS))
    environment = topics.environment(members[0]) | {"KAFKA_BROKER_URL": bootstrap}
    generator = Service(
        "generator", environment | {"TRANSACTIONS_PER_SECOND": "500"}, folder / "generator.log"
    )
    # A static member and a dynamic one.
    detectors = [
        Service("detector", environment | {"INSTANCE_ID": name}, folder / f"detector-{n}.log")
        for n, name in enumerate(("static", ""))
    ]
    waits = []
    supervised = Supervised(detectors)
    with generator, detectors[0], detectors[1]:
        until(lambda: supervised.judged() > 0, "the stream moves", STILL_SECONDS)
        for _ in range(restarts):
            time.sleep(rng.uniform(0.5, 1.5) * REST_SECONDS)  # the random point
            member = rng.choice(members)
            member.stop(kill=rng.random() < 0.5)
            time.sleep(1.0)  # the outage
            member.start()
            back, before = time.monotonic(), supervised.judged()
            until(partial(supervised.judged_more_than, before), "it moves on", STILL_SECONDS)
            waits.append(time.monotonic() - back)
        assert generator.stop() == 0
        inputs = read_all(members[0], [topics.transactions])
        until(
            lambda: (
                supervised.judged() and len(read_all(members[0], topics.outputs)) >= len(inputs)
            ),
            "all is judged",
            STILL_SECONDS,
        )
        # The stream's, and those of its watches: as many as at the start, once the others ended.
        until(lambda: all(map(_has_few_clients, detectors)), "clients have ended", STILL_SECONDS)
        clients = max(map(_clients, detectors))
        ends = []
        for detector in detectors:
            begun = time.monotonic()
            assert detector.stop() == 0, detector.text()[-2000:]
            ends.append(time.monotonic() - begun)
    assert problems(inputs, read_all(members[0], topics.outputs)) == []
    overdue = sum("has not returned" in d.text() for d in detectors)
    return (
        f"{restarts} restarts, {len(inputs):,} records, 0 different; judging went on after "
        f"{statistics.median(waits):.1f} s (median), {max(waits):.1f} s at most; "
        f"SIGTERM took {max(ends):.1f} s at most; detectors with overdue calls: {overdue}, "
        f"clients of a detector: {clients}, replaced after five of them: {supervised.replaced}"
    )


def _has_few_clients(detector: Service) -> bool:
    """Return True if a detector has no clients but its own and those of overdue calls."""
    abandoned = min(detector.text().count("has not returned"), MOST_ABANDONED)
    return _clients(detector) <= MOST_CLIENTS + abandoned


def _clients(detector: Service) -> int:
    """Count the clients of Kafka that a detector has, by their main threads."""
    found = 0
    for comm in Path(f"/proc/{detector.pid}/task").glob("*/comm"):
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found += comm.read_text() == "rdk:main\n"
    return found


class Supervised:
    """Detectors that are started again when they have ended because of overdue calls."""

    def __init__(self, detectors: Sequence[Service]) -> None:
        self._detectors = detectors
        self._counts: defaultdict[int, float] = defaultdict(float)
        self._of_ended = 0.0
        self.replaced = 0

    def judged(self) -> float:
        """Return the number of transactions that were judged and committed."""
        for n, detector in enumerate(self._detectors):
            if not detector.alive:
                assert detector.wait() == STREAM_ERROR, detector.text()[-2000:]
                assert "have not returned" in detector.text(), detector.text()[-2000:]
                self._of_ended += self._counts.pop(n, 0.0)
                self.replaced += 1
                detector.start()
            try:
                _, page = detector.get("/metrics")
            except urllib.error.URLError:  # it is ending
                continue
            self._counts[n] = sum(
                float(line.split()[-1])
                for line in page.split("\n")
                if line.startswith("fraud_transactions_total{")
            )
        return self._of_ended + sum(self._counts.values())

    def judged_more_than(self, before: float) -> bool:
        """Return True if more transactions than before were judged."""
        return self.judged() > before
