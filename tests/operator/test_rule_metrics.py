from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.operator import rule_metrics
from services.operator.conditions import Reach
from services.operator.rule_metrics import RuleMetrics, state_of
from services.operator.rulebook import Standing
from services.rules import Problem, read_object
from services.telemetry import metrics

NOW = 1_800_000_000.5  # s since 1970
ALL, SOME, NONE = Reach(2, 2), Reach(1, 2), Reach(0, 0)
BAD = (Problem(field="spec.expression", message="is wrong"),)


def fraud_rule(generation: int = 1, seen: int = 0, ago: float = 0.0) -> dict[str, Any]:
    """A FraudRule that was written some seconds ago; `seen` is the generation of its status."""
    written = datetime.fromtimestamp(NOW - ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "frauddetection.io/v1alpha1",
        "kind": "FraudRule",
        "metadata": {
            "name": "a",
            "uid": "1",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [
                {"manager": "kubectl", "time": written},
                {"manager": "operator", "subresource": "status", "time": status},
            ],
        },
        "spec": {"expression": "transaction.amount > 1.0", "severity": "High", "mode": "Shadow"},
        "status": {"observedGeneration": seen} if seen else {},
    }


def standing(problems: tuple[Problem, ...] = (), *, known: bool = True) -> Standing:
    rule = read_object(fraud_rule(), "a.yaml").rule if known else None
    reason = "InvalidSpec" if problems else "Accepted"
    return Standing(name="a", generation=1, rule=rule, reason=reason, problems=problems)


class Observed:
    """What was added to the histogram since it was made."""

    def __init__(self) -> None:
        self._before = self._now()

    @property
    def count(self) -> float:
        """How many changes."""
        return self._now()[0] - self._before[0]

    @property
    def seconds(self) -> float:
        """How long all of them took."""
        return self._now()[1] - self._before[1]

    def _now(self) -> tuple[float, float]:
        (family,) = metrics.APPLY_TO_LIVE.collect()
        values = {sample.name.rsplit("_", 1)[1]: sample.value for sample in family.samples}
        return values["count"], values["sum"]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still."""
    monkeypatch.setattr(rule_metrics, "time", SimpleNamespace(time=lambda: NOW))


@pytest.fixture
def observed() -> Observed:
    return Observed()


def test_a_change_is_timed_until_the_last_detector_confirms_it(observed: Observed) -> None:
    told, rule = RuleMetrics(), fraud_rule()
    told.heard([rule], NOW)
    told.told([(rule, standing(), SOME)])
    assert observed.count == 0
    told.told([(rule, standing(), ALL)])
    assert observed.count == 1
    assert observed.seconds == 0
    told.told([(rule, standing(), SOME)])  # a detector comes
    told.told([(rule, standing(), ALL)])
    assert observed.count == 1


def test_an_edit_is_timed_anew_and_a_look_at_the_same_is_not(observed: Observed) -> None:
    told = RuleMetrics()
    for rule in (fraud_rule(1), fraud_rule(1), fraud_rule(2, seen=1), fraud_rule(2, seen=2)):
        told.heard([rule], NOW)
        told.told([(rule, standing(), ALL)])
    assert observed.count == 2


def test_what_an_operator_finds_handled_when_it_starts_is_not_timed(observed: Observed) -> None:
    told, rule = RuleMetrics(), fraud_rule(3, seen=3)
    told.heard([rule], NOW)
    told.told([(rule, standing(), ALL)])
    assert observed.count == 0


def test_a_change_from_before_the_operator_looked_is_timed_from_then(observed: Observed) -> None:
    told, rule = RuleMetrics(), fraud_rule(ago=30)
    told.heard([rule], NOW)
    told.told([(rule, standing(), ALL)])
    assert observed.seconds == 29.5  # the API's times are whole seconds, and the last is taken


def test_a_change_is_not_from_before_the_event_that_told_of_another(observed: Observed) -> None:
    told, rule = RuleMetrics(), fraud_rule()
    told.heard([rule], NOW - 25)
    told.told([(rule, standing(), ALL)])
    assert observed.seconds == 0.5


@pytest.mark.parametrize(
    ("how", "reach"), [(standing(BAD), ALL), (standing(), NONE)], ids=["bad", "no detectors"]
)
def test_what_goes_nowhere_is_not_timed(how: Standing, reach: Reach, observed: Observed) -> None:
    told, rule = RuleMetrics(), fraud_rule()
    told.heard([rule], NOW)
    told.told([(rule, how, reach)])
    told.told([(rule, standing(), ALL)])
    assert observed.count == 0


@pytest.mark.parametrize(
    ("how", "reach", "state"),
    [
        (standing(), ALL, "Ready"),
        (standing(), SOME, "Propagating"),
        (standing(), NONE, "Propagating"),
        (standing(), Reach(1, 2, warming=1), "Warming"),
        (standing(BAD), ALL, "Stale"),
        (standing(BAD, known=False), ALL, "Invalid"),
    ],
)
def test_a_rule_has_one_state(how: Standing, reach: Reach, state: str) -> None:
    assert state_of(how, reach) == state
    assert state in metrics.LABEL_VALUES[metrics.OPERATOR_RULES]


def test_rules_that_decide_are_told_of_and_those_that_are_gone_are_not() -> None:
    told, rule = RuleMetrics(), fraud_rule()
    told.told([(rule, standing(), ALL), (rule, standing(BAD, known=False), ALL)])
    (info,) = metrics.RULE_INFO.collect()
    assert [sample.labels for sample in info.samples] == [
        {"rule": "a", "severity": "High", "mode": "Shadow", "action": "Flag"}
    ]
    (states,) = metrics.OPERATOR_RULES.collect()
    found = {sample.labels["state"]: sample.value for sample in states.samples}
    assert {state for state, n in found.items() if n == 1} == {"Ready", "Invalid"}
    told.told([])
    (info,) = metrics.RULE_INFO.collect()
    assert not info.samples
