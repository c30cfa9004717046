"""The matches of the last hour, from counters that only rise."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from services.detector import matches
from services.detector.matches import HOUR_SECONDS, Look, RecentMatches, forget, told
from services.telemetry import metrics
from tests.support.streaming import until

if TYPE_CHECKING:
    import pytest


def look(minute: float, **counts: int) -> Look:
    """A look at the counters of rules in Enforce; the clock began at 1,000,000."""
    found = Counter({(rule, "Enforce"): n for rule, n in counts.items()})
    return Look(60 * minute, 1_000_000 + 60 * minute, found)


def test_what_was_counted_between_two_looks_is_told_by_rule_and_mode() -> None:
    first = Look(0, 5.5, Counter({("a", "Enforce"): 3, ("b", "Enforce"): 9}))
    last = Look(60, 65.5, Counter({("a", "Enforce"): 10, ("a", "Shadow"): 2, ("b", "Enforce"): 9}))
    assert told(first, last) == {"since": 5.5, "matches": {"a": {"Enforce": 7, "Shadow": 2}}}


def test_one_match_a_minute_is_sixty_an_hour_however_long_it_runs() -> None:
    looks = deque([look(0, a=0)])
    for minute in range(1, 300):
        looks.append(look(minute, a=minute))
        forget(looks)
        assert told(looks[0], looks[-1])["matches"] == {"a": {"Enforce": min(minute, 60)}}
        assert len(looks) <= 61


def test_looks_that_come_late_leave_an_hour_at_least() -> None:
    looks = deque([look(0)])
    for minute in (1, 2, 45, 63, 64, 130, 200):
        looks.append(look(minute))
        forget(looks)
        assert looks[-1].at - looks[0].at >= min(60 * minute, HOUR_SECONDS)


def test_the_counters_are_looked_at_beside_the_stream() -> None:
    counter = metrics.RULE_MATCHES.labels("of-this-test", "Shadow")
    counter.inc(5)
    recent = RecentMatches()
    began = recent.page()["since"]
    counter.inc(2)
    assert recent.page()["matches"]["of-this-test"] == {"Shadow": 2}
    assert recent.page()["since"] == began


def test_what_lies_an_hour_back_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(matches, "HOUR_SECONDS", 0.2)
    counter = metrics.RULE_MATCHES.labels("of-this-test-too", "Enforce")
    recent = RecentMatches()
    counter.inc()
    recent.start()
    try:
        assert "of-this-test-too" in recent.page()["matches"]
        until(lambda: "of-this-test-too" not in recent.page()["matches"], "it is forgotten")
    finally:
        recent.stop()
