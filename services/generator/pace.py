"""A steady rate of transactions that makes up for short stalls."""

from __future__ import annotations

import math

# After a longer stall the rate continues without making up: minutes of it would be one burst.
MAX_CATCH_UP_SECONDS = 1.0
# One step sends at most this many seconds' worth, so that stops and deliveries are handled.
MAX_STEP_RECORDS = 1000
# If nothing is due now, nothing is due sooner than this, whatever the rounding.
MIN_WAIT_SECONDS = 0.000_001


class Pace:
    """Computes how many transactions are due.

    Args:
        per_second: The rate; infinite means as fast as possible.
        now: Time of a monotonic clock, in seconds.

    """

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._origin = now
        self._sent = 0

    def due(self, now: float) -> int:
        """Return how many to send now, and count them as sent."""
        if math.isinf(self._per_second):
            return MAX_STEP_RECORDS
        most = max(math.ceil(self._per_second * MAX_CATCH_UP_SECONDS), 1)
        behind = self._behind(now)
        if behind > most:
            # As if only the last of them had been delayed.
            self._origin = now - most / self._per_second
            self._sent, behind = 0, most
        n = min(behind, MAX_STEP_RECORDS)
        self._sent += n
        return n

    def wait(self, now: float) -> float:
        """Return the seconds until the next one is due; 0 if one is due now."""
        if math.isinf(self._per_second) or self._behind(now):
            return 0.0
        next_at = self._origin + (self._sent + 1) / self._per_second
        return max(next_at - now, MIN_WAIT_SECONDS)

    def _behind(self, now: float) -> int:
        return max(math.floor((now - self._origin) * self._per_second) - self._sent, 0)
