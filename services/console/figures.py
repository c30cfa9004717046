"""Counts of all detectors together, and what came of them lately."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

import msgspec

from services.console.samples import VERDICTS, by_label, quantile

if TYPE_CHECKING:
    from services.console.samples import Counts

# Over so long rates, shares and latencies are told.
WINDOW_SECONDS = 10.0


class Rates(msgspec.Struct, frozen=True):
    """What happened a second lately, and how long a decision took, in seconds.

    Without a moment to compare with there are none; without transactions
    there is no share and no latency. A latency beyond what is measured is infinite, in JSON null.
    """

    transactions: float | None = None
    fraud: float | None = None
    share: float | None = None
    p50: float | None = None
    p99: float | None = None


class Figures:
    """Adds up what detectors count, each since its own start.

    A count that is less than before is that of a process that began anew, and
    all of it came since. `totals` never shrink, also when a detector is gone.
    """

    def __init__(self) -> None:
        self.totals: Counts = defaultdict(float)
        self._grown: Counts = defaultdict(float)
        self._last: dict[str, Counts] = {}
        self._moments: deque[tuple[float, Counts]] = deque()

    def add(self, detector: str, counts: Counts) -> None:
        """Take a detector's counts. What it had when it was first seen is in no rate."""
        last = self._last.get(detector)
        for key, n in counts.items():
            before = 0 if last is None else last.get(key, 0)
            more = n - before if n >= before else n
            self.totals[key] += more
            if last is not None:
                self._grown[key] += more
        self._last[detector] = counts

    def forget(self, detector: str) -> None:
        """Take note that a detector does not come back; what it counted stays."""
        self._last.pop(detector, None)

    def tick(self, now: float) -> None:
        """Keep a moment, by a monotonic clock, for rates to be compared with."""
        self._moments.append((now, dict(self._grown)))
        while len(self._moments) > 2 and now - self._moments[1][0] >= WINDOW_SECONDS:
            self._moments.popleft()

    def rates(self) -> Rates:
        """Compare the first and the last moment of the window."""
        if len(self._moments) < 2:
            return Rates()
        (begun, before), *_, (now, after) = self._moments
        seconds = max(now - begun, 0.001)
        grown = {key: n - before.get(key, 0) for key, n in after.items()}
        verdicts = by_label(grown, VERDICTS)
        judged, fraud = sum(verdicts.values()), verdicts.get("fraud", 0)
        return Rates(
            transactions=judged / seconds,
            fraud=fraud / seconds,
            share=fraud / judged if judged else None,
            p50=quantile(before, after, 0.5),
            p99=quantile(before, after, 0.99),
        )
