"""A FraudRule's status: what is true of it now, in the words of Kubernetes conditions.

Pure: the status is computed anew each time, and only the transition times come
from the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from services.operator.rulebook import Standing

# What metav1.Condition allows.
_MAX_MESSAGE = 32768
# What the resource's schema allows.
_MAX_WARNINGS = 32
_MAX_WARNING = 1024


class Condition(NamedTuple):
    """One condition, without the times that belong to its history."""

    type: str
    status: str
    reason: str
    message: str


def desired_status(
    standing: Standing, applied: int, detectors: int, before: Mapping[str, Any], now: str
) -> dict[str, Any]:
    """Compute a rule's status.

    Args:
        standing: how the rule stands.
        applied: how many detectors have confirmed the version that decides.
        detectors: how many there are.
        before: the status it has.
        now: the time, as RFC 3339 in UTC.

    """
    wanted = [_ready(standing), _applied(standing, applied, detectors)]
    status: dict[str, Any] = {
        "observedGeneration": standing.generation,
        "applied": f"{applied}/{detectors}",
        "conditions": _conditions(wanted, standing.generation, before.get("conditions", ()), now),
    }
    if standing.rule is not None:
        status["activeGeneration"] = standing.rule.metadata.generation
    if standing.warnings:
        status["warnings"] = [w[:_MAX_WARNING] for w in standing.warnings[:_MAX_WARNINGS]]
    return status


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Condition]:
    """Say which conditions are worth an Event: those that say something new.

    On the way to the detectors only the arrival is news.
    """
    old = {c["type"]: c for c in before.get("conditions", ())}
    found = []
    for condition in after["conditions"]:
        last = old.get(condition["type"], {})
        edited = last.get("observedGeneration") != condition["observedGeneration"]
        arrived = before.get("activeGeneration") != after.get("activeGeneration")
        changed = any(last.get(k) != condition[k] for k in ("status", "reason"))
        told = Condition(*(condition[k] for k in Condition._fields))
        if condition["type"] == "Ready":
            if changed or edited or last.get("message") != condition["message"]:
                found.append(told)
        elif condition["status"] == "True" and (changed or arrived):
            found.append(told)
    return found


def _ready(standing: Standing) -> Condition:
    active = standing.rule.metadata.generation if standing.rule else 0
    if not standing.problems:
        said = "is good, and off" if standing.reason == "Disabled" else "decides"
        return Condition("Ready", "True", standing.reason, f"generation {active} {said}")
    problems = "\n".join(problem.text() for problem in standing.problems)
    instead = (
        f"generation {active} decides until this is mended"
        if active
        else "nothing decides in its place: no version of it was good yet"
    )
    room = _MAX_MESSAGE - len(instead) - 1
    return Condition("Ready", "False", standing.reason, f"{problems[:room]}\n{instead}")


def _applied(standing: Standing, applied: int, detectors: int) -> Condition:
    if standing.rule is None:
        return Condition("Applied", "False", "NothingToApply", "no version of it was good yet")
    if not detectors:
        return Condition("Applied", "Unknown", "NoDetectors", "no detector runs")
    generation = standing.rule.metadata.generation
    told = f"generation {generation} is in force on {applied} of {detectors} detectors"
    if applied == detectors:
        return Condition("Applied", "True", "Applied", told)
    return Condition("Applied", "False", "Propagating", told)


def _conditions(
    wanted: Iterable[Condition], generation: int, before: Iterable[Mapping[str, Any]], now: str
) -> list[dict[str, Any]]:
    """Add the history: a transition is a change of status, not of its reason or message."""
    old = {c["type"]: c for c in before}
    found = []
    for condition in wanted:
        last = old.get(condition.type)
        same = last is not None and last["status"] == condition.status
        since = last["lastTransitionTime"] if last is not None and same else now
        found.append(
            {
                **condition._asdict(),
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
        )
    return found
