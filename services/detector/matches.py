"""Number of matches of each rule within the last hour.

The metrics' counters count from the start of the process. A thread stores their values once a
minute; the matches of the last hour are the difference between now and an hour ago. So a client
can ask at any time and has to store nothing.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, NamedTuple

from services.telemetry import metrics
from services.threads import StoppableThread

LOOK_EVERY_SECONDS = 60.0
HOUR_SECONDS = 3600.0


class Look(NamedTuple):
    """Values of the counters by rule and mode; `at` is monotonic seconds, `time` epoch seconds."""

    at: float
    time: float
    counts: Counter[tuple[str, str]]


class RecentMatches(StoppableThread):
    """Counts the matches of the last hour, or since the start if that is less than an hour ago.

    The hour may be up to a minute longer, because the counters are stored once a minute.
    """

    def __init__(self) -> None:
        super().__init__("matches")
        self._looks = deque([_look()])

    def run(self) -> None:
        """Store the counters once a minute."""
        while not self.stopping.wait(LOOK_EVERY_SECONDS):
            self._looks.append(_look())
            forget(self._looks)

    def page(self) -> dict[str, Any]:
        """Return each rule's matches by mode, and since when they count (epoch seconds)."""
        return told(self._looks[0], _look())


def forget(looks: deque[Look]) -> None:
    """Drop the looks before the latest one that is at least an hour old."""
    while len(looks) > 1 and looks[-1].at - looks[1].at >= HOUR_SECONDS:
        looks.popleft()


def told(first: Look, last: Look) -> dict[str, Any]:
    """Return the matches between two looks, in the form of `/ruleset`."""
    matches: dict[str, dict[str, int]] = {}
    for (rule, mode), n in (last.counts - first.counts).items():
        matches.setdefault(rule, {})[mode] = n
    return {"since": first.time, "matches": matches}


def so_far() -> Counter[tuple[str, str]]:
    """Count the matches since the process's start, by rule and mode."""
    return Counter(
        {
            (sample.labels["rule"], sample.labels["mode"]): int(sample.value)
            for metric in metrics.RULE_MATCHES.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
    )


def _look() -> Look:
    return Look(time.monotonic(), time.time(), so_far())
