"""How often each rule matched within the last hour.

The counters only rise, from the process's start on. Looked at once a minute, beside the stream,
they tell what they were an hour ago; the rest is a difference. Whoever asks is told so at any time,
and has to remember nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Any, NamedTuple

from services.telemetry import metrics

LOOK_EVERY_SECONDS = 60.0
HOUR_SECONDS = 3600.0


class Look(NamedTuple):
    """What the counters were, by rule and mode; `at` is monotonic seconds, `time` epoch seconds."""

    at: float
    time: float
    counts: Counter[tuple[str, str]]


class RecentMatches:
    """Counts the matches of the last hour, or of all the time since it was made where that is less.

    The hour may be a minute longer, as the counters are looked at so often.
    """

    def __init__(self) -> None:
        self._looks = deque([_look()])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="matches", daemon=True)

    def start(self) -> None:
        """Begin to look at the counters."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def page(self) -> dict[str, Any]:
        """Tell for each rule how often it matched, by mode, and since when (epoch seconds)."""
        return told(self._looks[0], _look())

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            self._looks.append(_look())
            forget(self._looks)


def forget(looks: deque[Look]) -> None:
    """Drop the looks that lie before the last one that is an hour old."""
    while len(looks) > 1 and looks[-1].at - looks[1].at >= HOUR_SECONDS:
        looks.popleft()


def told(first: Look, last: Look) -> dict[str, Any]:
    """Tell what was counted between two looks, as `/ruleset` does."""
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
