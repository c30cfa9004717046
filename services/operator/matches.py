"""Number of matches of a rule within the last hour, for its status.

Pure. Each detector reports its own count of the hour. The operator adds them up, so it needs no
history after a restart. The numbers change all the time, but the status must not. So it is written
at most once a minute, and only if a number has changed noticeably.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.operator.detectors import Answer

PACE_SECONDS = 60.0
# A number counts as unchanged if it differs from the published one by at most a twentieth of that;
# below 20 each match counts.
_ABOUT = 20


class Counted(NamedTuple):
    """The sum of all detectors' counts.

    `since` is when the last of them started counting (epoch seconds); `matches` are by rule and
    mode.
    """

    since: float
    matches: Counter[tuple[str, str]]


def add_up(answers: Sequence[Answer]) -> Counted | None:
    """Add up the detectors' counts; None if there is no detector, or one does not report."""
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
    """Compute the part of a rule's status about its matches, None for nothing.

    Args:
        rule: Name of the rule.
        counted: Sum of the detectors' counts; without it the earlier values stay.
        before: Current status.
        now: The time, as RFC 3339 in UTC.

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
