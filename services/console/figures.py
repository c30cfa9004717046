"""Counts of all detectors together, and their recent rates."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

import msgspec

from services.console.samples import VERDICTS, by_label, quantile

if TYPE_CHECKING:
    from services.console.samples import Counts

# Length of the window for rates, shares and latencies.
WINDOW_SECONDS = 10.0


class Rates(msgspec.Struct, frozen=True):
    """Recent rates per second, and the latency of decisions, in seconds.

    There are no rates without an earlier moment to compare with, and no share or latency
    without transactions. A latency above the largest bucket is infinite, null in JSON.
    """

    transactions: float | None = None
    fraud: float | None = None
    share: float | None = None
    p50: float | None = None
    p99: float | None = None


class Figures:
    """Adds up the counts of detectors, each since its own start.

    If a count is less than before, the process has restarted, and the whole count is new.
    `totals` never decrease, even if a detector is removed.
    """

    def __init__(self) -> None:
        self.totals: Counts = defaultdict(float)
        self._grown: Counts = defaultdict(float)
        self._last: dict[str, Counts] = {}
        self._moments: deque[tuple[float, Counts]] = deque()

    def add(self, detector: str, counts: Counts) -> None:
        """Add a detector's counts. Those of its first answer are in no rate."""
        last = self._last.get(detector)
        for key, n in counts.items():
            before = 0 if last is None else last.get(key, 0)
            more = n - before if n >= before else n
            self.totals[key] += more
            if last is not None:
                self._grown[key] += more
        self._last[detector] = counts

    def forget(self, detector: str) -> None:
        """Forget a detector that was removed; its counts stay in the totals."""
        self._last.pop(detector, None)

    def tick(self, now: float) -> None:
        """Store the current totals, with a monotonic time, for later rates."""
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
