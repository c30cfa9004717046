"""How often a rule matched within the last hour, as its status tells it.

Pure. Each detector tells what it counted within the hour; here that is added up, so an operator
that starts again knows it at once. The numbers change all the time and the status must not: it is
written once a minute at most, and only where a number is no longer about what it was.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.operator.detectors import Answer

PACE_SECONDS = 60.0
# A number that differs from the one that is told by a twentieth of it at most is about the same;
# below 20 each match counts.
_ABOUT = 20


class Counted(NamedTuple):
    """What all detectors counted together.

    `since` is when the last of them began to count (epoch seconds), `matches` are by rule and mode.
    """

    since: float
    matches: Counter[tuple[str, str]]


def add_up(answers: Sequence[Answer]) -> Counted | None:
    """Add up what the detectors tell; None where one does not tell, or where there is none."""
    told = [None if isinstance(answer, str) else answer.recent for answer in answers]
    known = [recent for recent in told if recent is not None]
    if not known or len(known) < len(told):
        return None
    matches: Counter[tuple[str, str]] = Counter()
    for recent in known:
        for rule, by_mode in recent.matches.items():
            for mode, n in by_mode.items():
                matches[rule, mode] += n
    return Counted(max(recent.since for recent in known), matches)


def matches_status(
    rule: str, counted: Counted | None, before: Mapping[str, Any] | None, now: str
) -> Mapping[str, Any] | None:
    """Compute what a rule's status says of its matches, None for nothing.

    Args:
        rule: its name.
        counted: by the detectors; without it what was told before stays.
        before: what the status says.
        now: the time, as RFC 3339 in UTC.

    """
    if counted is None or (
        before is not None and _seconds(before["observedAt"], now) < PACE_SECONDS
    ):
        return before
    found = {mode.lower(): counted.matches[rule, mode] for mode in ("Enforce", "Shadow")}
    if before is not None and all(_about_the_same(before[mode], n) for mode, n in found.items()):
        return before
    since = datetime.fromtimestamp(counted.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"lastHour": sum(found.values()), **found, "since": since, "observedAt": now}


def _about_the_same(before: int, now: int) -> bool:
    return abs(now - before) * _ABOUT <= before


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
