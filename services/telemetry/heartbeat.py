"""Liveness of a loop: it shows regularly that it moves."""

from __future__ import annotations

import time


class Heartbeat:
    """The time since a loop last moved.

    Args:
        seconds: Longest time without a move of a live loop, in seconds.
        loop: Name of the loop, for the reason.

    """

    def __init__(self, seconds: float, loop: str = "the loop") -> None:
        self._seconds = seconds
        self._loop = loop
        self._at = time.monotonic()

    def tick(self) -> None:
        """Show that the loop moves."""
        self._at = time.monotonic()

    def standstill(self) -> str | None:
        """Return the reason to restart the process; None for a live loop."""
        still = time.monotonic() - self._at
        if still <= self._seconds:
            return None
        return f"{self._loop} has not moved for {still:.0f} s"
