"""What a rule's status says of its windows: whether they are built, and whether they are exact."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from services.detector.places import Reason
from services.operator.conditions import Reach, desired_status, news
from services.operator.detectors import Doubt
from services.operator.rulebook import Standing
from services.rules import Problem
from tests.support.rules import rule
from tools.shipped import status as published

Status = dict[str, Any]

NOW = "2026-01-01T12:00:00Z"
COUNT = {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"}
SHORT = Doubt("RetentionTooShort", "detector-0, partition 3 until 2026-01-01T12:30:00Z")
KEYS = Doubt("WronglyKeyed", "about 0.3 % of the keys that detector-0 looked at are not source")


def windowed(generation: int = 1, **spec: object) -> Standing:
    """A good rule with windows."""
    made = rule("burst", "payments > 3", generation, aggregates=[COUNT], **spec)
    reason = "Disabled" if made.spec.mode == "Disabled" else "Accepted"
    return Standing(name="burst", generation=generation, rule=made, reason=reason)


def status(
    applied: int = 0,
    detectors: int = 3,
    warming: int = 0,
    *doubts: Doubt,
    of: Standing | None = None,
    before: Status | None = None,
) -> Status:
    reach = Reach(applied, detectors, warming, doubts)
    return desired_status(of or windowed(), reach, before or {}, NOW)


def condition(found: Status, kind: str) -> dict[str, Any]:
    (one,) = (c for c in found["conditions"] if c["type"] == kind)
    return dict(one)


def stands(found: Status, kind: str) -> tuple[str, str]:
    one = condition(found, kind)
    return one["status"], one["reason"]


def told(before: Status, after: Status) -> list[tuple[str, str]]:
    return [(c.type, c.reason) for c in news(before, after)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (status(0, 0), ("Unknown", "NoDetectors")),
        (status(0, 3, 3), ("False", "Warming")),
        (status(1, 3, 2), ("False", "Warming")),
        (status(2, 3, 1), ("False", "Warming")),
        (status(1, 3, 1), ("False", "Propagating")),
        (status(0, 3, 0), ("False", "Propagating")),
        (status(3, 3, 0), ("True", "Applied")),
    ],
)
def test_applied_says_that_windows_are_built_where_nothing_else_is_missing(
    found: Status, expected: tuple[str, str]
) -> None:
    assert stands(found, "Applied") == expected


def test_the_detectors_that_build_windows_are_counted() -> None:
    message = condition(status(1, 3, 2), "Applied")["message"]
    assert message == (
        "generation 1 is in force on 1 of 3 detectors; 2 build its windows from the log"
    )
    message = condition(status(2, 3, 1), "Applied")["message"]
    assert message.endswith("detectors; 1 builds its windows from the log")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (status(0, 0), ("Unknown", "NoDetectors")),
        (status(0, 0, 0, SHORT), ("Unknown", "NoDetectors")),
        (status(1, 3, 2), ("Unknown", "Warming")),
        (status(1, 3, 1), ("Unknown", "Propagating")),
        (status(3, 3), ("True", "Exact")),
        (status(3, 3, 0, SHORT), ("False", "RetentionTooShort")),
        (status(3, 3, 0, KEYS), ("False", "WronglyKeyed")),
        (status(3, 3, 0, SHORT, KEYS), ("False", "WronglyKeyed")),
        (status(1, 3, 2, SHORT), ("False", "RetentionTooShort")),
        *(
            (status(3, 3, 0, Doubt(reason, "detector-0, partition 3"), SHORT), ("False", reason))
            for reason in get_args(Reason)
        ),
    ],
)
def test_exact_says_whether_the_windows_have_all(found: Status, expected: tuple[str, str]) -> None:
    assert stands(found, "Exact") == expected


WITHOUT = {
    "no aggregates": Standing(name="r", generation=1, rule=rule(), reason="Accepted"),
    "off": windowed(mode="Disabled"),
    "never good": Standing(
        name="r",
        generation=1,
        rule=None,
        reason="InvalidSpec",
        problems=(Problem(field="spec", message="is missing"),),
    ),
}


@pytest.mark.parametrize("of", WITHOUT.values(), ids=WITHOUT)
def test_a_rule_whose_windows_nobody_reads_is_not_said_to_be_exact(of: Standing) -> None:
    types = [c["type"] for c in status(3, 3, 0, SHORT, of=of)["conditions"]]
    assert types == ["Ready", "Applied"]


def test_a_log_that_begins_too_late_is_told_with_what_to_do() -> None:
    assert condition(status(3, 3, 0, SHORT), "Exact")["message"] == (
        "the log begins too late for the windows, which have too little until then: "
        "detector-0, partition 3 until 2026-01-01T12:30:00Z\n"
        "raise the retention of the input topic"
    )


def test_wrong_keys_are_told_with_what_to_do() -> None:
    assert condition(status(3, 3, 0, KEYS), "Exact")["message"] == (
        "records are not keyed as declared, so windows miss some: "
        "about 0.3 % of the keys that detector-0 looked at are not source\n"
        "correct the producer, or set KEYED_BY (detector.keyedBy in the chart) to what they are"
    )


def test_of_many_detectors_some_are_told_of() -> None:
    doubts = [Doubt("RetentionTooShort", f"detector-{i}, partition 0") for i in range(1000)]
    found = status(3, 3, 0, *doubts)
    assert "detector-19, partition 0; and 980 more\n" in condition(found, "Exact")["message"]
    msgspec.convert(found, published.Status)


def test_that_windows_are_not_exact_is_news_once() -> None:
    exact = status(3, 3)
    short = status(3, 3, 0, SHORT, before=exact)
    assert told(exact, short) == [("Exact", "RetentionTooShort")]
    later = Doubt("RetentionTooShort", "detector-0, partition 4 until noon")
    assert told(short, status(3, 3, 0, later, before=short)) == []
    assert told(short, status(3, 3, 0, KEYS, before=short)) == [("Exact", "WronglyKeyed")]


def test_that_windows_are_exact_again_is_news() -> None:
    short = status(3, 3, 0, SHORT)
    assert told(short, status(3, 3, before=short)) == [("Exact", "Exact")]


def test_that_windows_of_a_new_rule_are_exact_is_no_news_beside_its_arrival() -> None:
    warming = status(0, 3, 3)
    assert told({}, warming) == [("Ready", "Accepted")]
    assert told(warming, status(3, 3, before=warming)) == [("Applied", "Applied")]


def test_an_edit_that_is_warming_is_no_news_but_that_it_is_good() -> None:
    exact = status(3, 3)
    edited = status(0, 3, 3, of=windowed(2), before=exact)
    assert told(exact, edited) == [("Ready", "Accepted")]
    assert condition(edited, "Exact")["observedGeneration"] == 2
