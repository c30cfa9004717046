"""Metrics of the rules: their states, and how long a change takes to be live.

A change is timed from when the API received it until every detector has
confirmed it. The API's time has a resolution of a second. Within that second, the time
at which the operator received the event is used.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from services.operator.conditions import Reach
    from services.operator.rulebook import Standing

# Format of the API's times.
_RESOLUTION_SECONDS = 1.0


class RuleMetrics:
    """Sets the metrics of the rules, once each reconcile."""

    def __init__(self) -> None:
        # By uid: the latest generation, and when it was received; None if it is not timed.
        self._heard: dict[str, tuple[int, float | None]] = {}

    def heard(self, rules: Iterable[Mapping[str, Any]], at: float) -> None:
        """Record changes that are not in a status yet.

        Args:
            rules: FraudRules from the API.
            at: Time of the event that reported a change (s since 1970).

        """
        before, self._heard = self._heard, {}
        for rule in rules:
            uid, generation = rule["metadata"]["uid"], rule["metadata"]["generation"]
            since = None
            if uid in before and before[uid][0] == generation:
                _, since = before[uid]
            elif (rule.get("status") or {}).get("observedGeneration") != generation:
                stamp = _changed(rule)
                since = min(max(at, stamp), stamp + _RESOLUTION_SECONDS)
            self._heard[uid] = generation, since

    def told(self, found: Iterable[tuple[Mapping[str, Any], Standing, Reach]]) -> None:
        """Set the metrics to what the detectors report now.

        Args:
            found: Each FraudRule with its state, and its state on the detectors.

        """
        now = time.time()
        states: Counter[str] = Counter()
        known: dict[tuple[str, ...], float] = {}
        for rule, standing, reach in found:
            state = state_of(standing, reach)
            states[state] += 1
            if standing.rule is not None:
                spec = standing.rule.spec
                known[standing.name, spec.severity, spec.mode, spec.action] = 1
            self._arrive(rule["metadata"]["uid"], standing, reach, now)
        for name in metrics.LABEL_VALUES[metrics.OPERATOR_RULES]:
            metrics.OPERATOR_RULES.labels(name).set(states[name])
        metrics.set_all(metrics.RULE_INFO, known)

    def _arrive(self, uid: str, standing: Standing, reach: Reach, now: float) -> None:
        generation, since = self._heard.get(uid, (0, None))
        if since is None:
            return
        stuck = standing.problems or not reach.detectors  # it is not being rolled out
        if stuck or reach.applied == reach.detectors:
            self._heard[uid] = generation, None
        if not stuck and reach.applied == reach.detectors:
            metrics.APPLY_TO_LIVE.observe(max(now - since, 0))


def state_of(standing: Standing, reach: Reach) -> str:
    """Return the state of a FraudRule, one of those in `OPERATOR_RULES`."""
    if standing.problems:
        return "Stale" if standing.rule else "Invalid"
    if standing.reason == "Disabled":
        return "Disabled"
    if reach.detectors and reach.applied == reach.detectors:
        return "Ready"
    return "Warming" if reach.warming else "Propagating"


def _changed(rule: Mapping[str, Any]) -> float:
    """Return when the API last received a change of a rule's content (whole s since 1970)."""
    metadata = rule["metadata"]
    writes = (
        write["time"]
        for write in metadata.get("managedFields", ())
        if write.get("subresource") != "status" and "time" in write
    )
    return datetime.fromisoformat(max(writes, default=metadata["creationTimestamp"])).timestamp()
