"""A FraudRule's status: what is true of it now, in the words of Kubernetes conditions.

Pure: the status is computed anew each time, and only the transition times come
from the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from services.operator.detectors import Doubt
    from services.operator.rulebook import Standing

# What metav1.Condition allows.
_MAX_MESSAGE = 32768
# What to do where windows are not exact, in the order in which it is told.
_DOUBTS = {
    "WronglyKeyed": (
        "records are not keyed as declared, so windows miss some",
        "mend the producer, or set KEYED_BY (detector.keyedBy in the chart) to what they are",
    ),
    "RetentionTooShort": (
        "the log begins too late for the windows, which have too little until then",
        "raise the retention of the input topic",
    ),
}
# Of so many detectors each is told.
_MOST_TOLD = 20
# What the resource's schema allows.
_MAX_WARNINGS = 32
_MAX_WARNING = 1024


class Condition(NamedTuple):
    """One condition, without the times that belong to its history."""

    type: str
    status: str
    reason: str
    message: str


class Reach(NamedTuple):
    """How far the version of a rule that decides is.

    `applied` of `detectors` have confirmed it, and `warming` others build its
    windows. `doubts` are why windows may not be exact.
    """

    applied: int
    detectors: int
    warming: int = 0
    doubts: tuple[Doubt, ...] = ()


def desired_status(
    standing: Standing, reach: Reach, before: Mapping[str, Any], now: str
) -> dict[str, Any]:
    """Compute a rule's status.

    Args:
        standing: how the rule stands.
        reach: what the detectors say of it.
        before: the status it has.
        now: the time, as RFC 3339 in UTC.

    """
    wanted = [_ready(standing), _applied(standing, reach), *_exact(standing, reach)]
    status: dict[str, Any] = {
        "observedGeneration": standing.generation,
        "applied": f"{reach.applied}/{reach.detectors}",
        "conditions": _conditions(wanted, standing.generation, before.get("conditions", ()), now),
    }
    if standing.rule is not None:
        status["activeGeneration"] = standing.rule.metadata.generation
    if standing.warnings:
        status["warnings"] = [w[:_MAX_WARNING] for w in standing.warnings[:_MAX_WARNINGS]]
    return status


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Condition]:
    """Say which conditions are worth an Event: those that say something new.

    On the way to the detectors only the arrival is news. That windows are
    exact is none, but that they are not, and that they are again.
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
        elif condition["type"] == "Exact":
            if changed and "False" in {condition["status"], last.get("status")}:
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


def _applied(standing: Standing, reach: Reach) -> Condition:
    if standing.rule is None:
        return Condition("Applied", "False", "NothingToApply", "no version of it was good yet")
    if not reach.detectors:
        return Condition("Applied", "Unknown", "NoDetectors", "no detector runs")
    generation = standing.rule.metadata.generation
    told = f"generation {generation} is in force on {reach.applied} of {reach.detectors} detectors"
    if reach.applied == reach.detectors:
        return Condition("Applied", "True", "Applied", told)
    return Condition("Applied", "False", _way(reach), told + _warming(reach))


def _way(reach: Reach) -> str:
    """Say in a word where a rule is that not every detector has in force."""
    return "Warming" if reach.applied + reach.warming == reach.detectors else "Propagating"


def _warming(reach: Reach) -> str:
    if not reach.warming:
        return ""
    return f"; {reach.warming} build{'s' if reach.warming == 1 else ''} its windows from the log"


def _exact(standing: Standing, reach: Reach) -> Iterator[Condition]:
    """Say of a rule with windows whether each of its verdicts is over all of them."""
    spec = standing.rule.spec if standing.rule is not None else None
    if spec is None or not spec.aggregates or spec.mode == "Disabled":
        return
    if not reach.detectors:
        yield Condition("Exact", "Unknown", "NoDetectors", "no detector runs")
        return
    for reason, (said, mend) in _DOUBTS.items():
        where = [doubt.said for doubt in reach.doubts if doubt.reason == reason]
        if where:
            more = len(where) - _MOST_TOLD
            told = "; ".join(where[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")
            yield Condition("Exact", "False", reason, f"{said}: {told}\n{mend}")
            return
    if reach.applied == reach.detectors:
        yield Condition("Exact", "True", "Exact", "every window has all of its transactions")
    else:
        told = f"not every detector has it in force yet{_warming(reach)}"
        yield Condition("Exact", "Unknown", _way(reach), told)


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
