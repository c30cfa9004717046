"""What `fraud rules get` makes of a rule and of what the operator tells of the detectors."""

from __future__ import annotations

from typing import Any

import pytest

from services.cli.standing import Standing, _details, standing
from services.operator.detectors import Report


def rule(
    ready: str = "True", reason: str = "Accepted", *, observed: int = 3, active: int = 3
) -> dict[str, Any]:
    """A FraudRule of generation 3, as the API gives it."""
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": "what is said",
        "observedGeneration": observed,
    }
    status: dict[str, Any] = {"conditions": [condition]}
    if active:
        status["activeGeneration"] = active
    return {
        "metadata": {"name": "limit", "generation": 3},
        "spec": {"mode": "Enforce"},
        "status": status,
    }


def report(pod: str, *missing: str, state: str = "Current", message: str = "") -> Report:
    return Report(pod=pod, state=state, hash="abc", missing=missing, message=message)


def state(value: dict[str, Any]) -> str:
    return standing(value, []).state


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (rule(), "Ready"),
        (rule(reason="Disabled"), "Disabled"),
        (rule("False", "InvalidExpression", active=2), "Stale"),
        (rule("False", "InvalidExpression", active=0), "Invalid"),
        (rule(observed=2), "Pending"),
        ({**rule(), "status": {}}, "Pending"),
        ({k: v for k, v in rule().items() if k != "status"}, "Pending"),
    ],
)
def test_a_state_is_one_word(value: dict[str, Any], expected: str) -> None:
    assert state(value) == expected


def test_the_detectors_that_have_it_and_those_that_lack_it_are_named_with_the_reason() -> None:
    told = standing(
        rule(),
        [
            report("a"),
            report("b", "limit", state="Stale", message="it still has an older ruleset"),
            report("c", "other", state="Stale", message="it still has an older ruleset"),
            report("d", "limit", "other", state="Silent", message="does not answer"),
        ],
    )
    assert told.have == ("a", "c")
    assert told.lack == {"b": "it still has an older ruleset", "d": "does not answer"}


def test_a_rule_that_never_was_good_is_on_no_detector() -> None:
    told = standing(rule("False", "InvalidExpression", active=0), [report("a")])
    assert (told.have, told.lack) == ((), {"a": "no version of the rule was good yet"})


def test_a_detector_that_lacks_many_lacks_this_one_too() -> None:
    silent = report("a", "*", state="Silent", message="does not answer")
    assert standing(rule(), [silent]).lack == {"a": "does not answer"}


def applied(value: dict[str, Any], reason: str) -> dict[str, Any]:
    """A rule with another condition, for where it is on its way."""
    condition = {"type": "Applied", "status": "False", "reason": reason, "message": "on its way"}
    value["status"]["conditions"].append(condition)
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (applied(rule(), "Warming"), "Warming"),
        (applied(rule(), "Propagating"), "Ready"),
        (applied(rule(reason="Disabled"), "Warming"), "Disabled"),
        (applied(rule("False", "InvalidExpression", active=2), "Warming"), "Stale"),
        (applied(rule(observed=2), "Warming"), "Pending"),
    ],
)
def test_a_good_rule_whose_windows_are_built_is_warming(
    value: dict[str, Any], expected: str
) -> None:
    assert state(value) == expected


def test_a_detector_that_builds_its_windows_is_told_apart_from_one_that_is_behind() -> None:
    behind = "it still has an older ruleset"
    builds = Report(
        pod="a", state="Stale", hash="", missing=("limit", "b"), message=behind, warming=("limit",)
    )
    many = Report(pod="b", state="Warming", hash="", missing=("*",), message="…", warming=("*",))
    told = standing(rule(), [builds, many, report("c", "limit", message=behind)])
    words = "builds its windows from the log"
    assert told.lack == {"a": words, "b": words, "c": behind}


def exact(value: dict[str, Any], status: str) -> dict[str, Any]:
    """A rule with the condition Exact."""
    condition = {"type": "Exact", "status": status, "reason": "X", "message": "the log\nraise it"}
    value["status"]["conditions"].append(condition)
    return value


def test_windows_that_lack_something_are_told_of_in_words() -> None:
    told = standing(exact(rule(), "False"), [])
    assert told.inexact == "the log\nraise it"
    assert list(_details(told)) == ["\nlimit:", "  not exact: the log\n  raise it"]


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_windows_that_may_have_all_are_not_told_of(status: str) -> None:
    told = standing(exact(rule(), status), [])
    assert told.inexact == ""
    assert list(_details(told)) == []


def messages(value: dict[str, Any]) -> Standing:
    return standing(value, [])


def test_only_what_is_wrong_has_a_message() -> None:
    assert messages(rule()).message == ""
    assert messages(rule("False", "ExampleFailed")).message == "what is said"
