"""How many transactions are due: a steady rate that makes up for what a short stall held back."""

from __future__ import annotations

import math

# After a longer stall the rate is kept from then on; a burst of minutes would be no steady rate.
MAX_CATCH_UP_SECONDS = 1.0
# One step sends at most this much at once, so that a stop is heard and deliveries are served.
MAX_STEP_RECORDS = 1000
# Nothing is due sooner than this when nothing is due now, whatever rounding says.
MIN_WAIT_SECONDS = 0.000_001


class Pace:
    """Tells how many are due at a time.

    Args:
        per_second: the rate; infinite is as fast as it can.
        now: the time of a monotonic clock, in seconds.

    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._origin = now
        self._sent = 0

    def due(self, now: float) -> int:
        """Give how many to send now, and take them as sent."""
        if math.isinf(self._per_second):
            return MAX_STEP_RECORDS
        most = max(math.ceil(self._per_second * MAX_CATCH_UP_SECONDS), 1)
        behind = self._behind(now)
        if behind > most:
            # As if only the last of them had been held back.
            self._origin = now - most / self._per_second
            self._sent, behind = 0, most
        n = min(behind, MAX_STEP_RECORDS)
        self._sent += n
        return n

    def wait(self, now: float) -> float:
        """Give the seconds until the next is due; 0 when one is."""
        if math.isinf(self._per_second) or self._behind(now):
            return 0.0
        next_at = self._origin + (self._sent + 1) / self._per_second
        return max(next_at - now, MIN_WAIT_SECONDS)

    def _behind(self, now: float) -> int:
        return max(math.floor((now - self._origin) * self._per_second) - self._sent, 0)
