"""The status of a FraudRule, as Kubernetes conditions.

Pure: the status is computed again each time, and only the transition times come
from the status before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from services.operator.detectors import Doubt
    from services.operator.rulebook import Standing

# Limits of metav1.Condition.
_MAX_MESSAGE = 32768
# Hints for windows that are not exact, in the order in which messages show them.
_DOUBTS = {
    "WronglyKeyed": (
        "records are not keyed as declared, so windows miss some",
        "correct the producer, or set KEYED_BY (detector.keyedBy in the chart) to what they are",
    ),
    "TopicCompacted": (
        "the input topic is compacted, so the log loses records that windows need",
        "set cleanup.policy of the input topic to delete",
    ),
    "TopicRecreated": (
        "the input topic was deleted and created again, and windows lack what it had before",
        "nothing, if that was meant: windows are exact again once they are full",
    ),
    "LogTruncated": (
        "the input topic lost its last records, which were judged, and windows lack them",
        "look for lost disks, unclean leader elections and restored backups in Kafka",
    ),
    "RecordsDeleted": (
        "records of the input topic were deleted before they were judged, and windows lack them",
        "raise the retention of the input topic, and see the runbook of FraudLogChanged",
    ),
    "PartitionsAdded": (
        "partitions were added to the input topic, so keys may have left their windows",
        "nothing: windows are exact again once they are full",
    ),
    "RetentionTooShort": (
        "the log begins too late for the windows, which have too little until then",
        "raise the retention of the input topic",
    ),
}
# Up to this many detectors are named.
_MOST_TOLD = 20
# Limit of the resource's schema.
_MAX_WARNINGS = 32
_MAX_WARNING = 1024


class Condition(NamedTuple):
    """One condition, without the times of its history."""

    type: str
    status: str
    reason: str
    message: str


class Reach(NamedTuple):
    """The rollout of a rule: how many detectors have its version in force.

    `applied` of `detectors` have confirmed it, and `warming` others build its
    windows. `doubts` are the reasons for which windows may not be exact.
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
        standing: State of the rule.
        reach: State of the rule on the detectors.
        before: Current status.
        now: The time, as RFC 3339 in UTC.

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
    """Select the conditions that are worth an Event, because they have changed.

    During a rollout only its end is worth one. So is the loss of exact windows and
    their return, but not the first time that windows are exact.
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
        said = "is valid but disabled" if standing.reason == "Disabled" else "is in force"
        return Condition("Ready", "True", standing.reason, f"generation {active} {said}")
    problems = "\n".join(problem.text() for problem in standing.problems)
    instead = (
        f"generation {active} stays in force until this is corrected"
        if active
        else "no version is in force: none was valid so far"
    )
    room = _MAX_MESSAGE - len(instead) - 1
    return Condition("Ready", "False", standing.reason, f"{problems[:room]}\n{instead}")


def _applied(standing: Standing, reach: Reach) -> Condition:
    if standing.rule is None:
        return Condition("Applied", "False", "NothingToApply", "no version was valid so far")
    if not reach.detectors:
        return Condition("Applied", "Unknown", "NoDetectors", "no detector runs")
    generation = standing.rule.metadata.generation
    told = f"generation {generation} is in force on {reach.applied} of {reach.detectors} detectors"
    if reach.applied == reach.detectors:
        return Condition("Applied", "True", "Applied", told)
    return Condition("Applied", "False", _way(reach), told + _warming(reach))


def _way(reach: Reach) -> str:
    """Return the reason of Applied for a rule that is not in force on every detector."""
    return "Warming" if reach.applied + reach.warming == reach.detectors else "Propagating"


def _warming(reach: Reach) -> str:
    if not reach.warming:
        return ""
    return f"; {reach.warming} build{'s' if reach.warming == 1 else ''} its windows from the log"


def _exact(standing: Standing, reach: Reach) -> Iterator[Condition]:
    """Return the condition Exact of a rule with windows: each window has all transactions."""
    spec = standing.rule.spec if standing.rule is not None else None
    if spec is None or not spec.aggregates or spec.mode == "Disabled":
        return
    if not reach.detectors:
        yield Condition("Exact", "Unknown", "NoDetectors", "no detector runs")
        return
    for reason, (message, hint) in _DOUBTS.items():
        where = [doubt.said for doubt in reach.doubts if doubt.reason == reason]
        if where:
            more = len(where) - _MOST_TOLD
            places = "; ".join(where[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")
            yield Condition("Exact", "False", reason, f"{message}: {places}\n{hint}")
            return
    if reach.applied == reach.detectors:
        yield Condition("Exact", "True", "Exact", "every window has all of its transactions")
    else:
        told = f"not every detector has it in force yet{_warming(reach)}"
        yield Condition("Exact", "Unknown", _way(reach), told)


def _conditions(
    wanted: Iterable[Condition], generation: int, before: Iterable[Mapping[str, Any]], now: str
) -> list[dict[str, Any]]:
    """Add the times: a transition is a change of status, not of reason or message."""
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
