"""A FraudRule's status: what its conditions say, when they turned, and what of it is news."""

from __future__ import annotations

import string
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.conditions import Reach, desired_status, news
from services.operator.rulebook import Standing
from services.rules import Problem
from tests.support.rules import rule
from tools.shipped import status as published

Status = dict[str, Any]
# How a rule stands, on how many detectors the version that decides is, and of how many.
Moment = tuple[Standing, int, int]

NOW = "2026-01-01T12:00:00Z"
LATER = "2026-01-01T12:00:05Z"
PROBLEM = Problem(field="spec.expression", message="no field `amuont`", hint="did you mean it?")


def good(generation: int = 1, reason: str = "Accepted", *warnings: str) -> Standing:
    """The newest version is good, and decides."""
    return Standing(
        name="limit",
        generation=generation,
        rule=rule("limit", generation=generation),
        reason=reason,
        warnings=warnings,
    )


def bad(generation: int = 2, active: int = 1, *problems: Problem) -> Standing:
    """The newest version is bad, and an earlier one decides; 0 is none."""
    return Standing(
        name="limit",
        generation=generation,
        rule=rule("limit", generation=active) if active else None,
        reason="InvalidExpression",
        problems=problems or (PROBLEM,),
    )


def status(
    standing: Standing,
    applied: int = 0,
    detectors: int = 2,
    before: Status | None = None,
    now: str = NOW,
) -> Status:
    return desired_status(standing, Reach(applied, detectors), before or {}, now)


def condition(of: Status, kind: str) -> dict[str, Any]:
    (found,) = (c for c in of["conditions"] if c["type"] == kind)
    return dict(found)


def told(before: Status, after: Status) -> list[tuple[str, str]]:
    """The news, as types and reasons."""
    return [(c.type, c.reason) for c in news(before, after)]


def test_a_good_rule_is_ready() -> None:
    ready = condition(status(good()), "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Accepted")


def test_a_bad_rule_is_not_ready() -> None:
    ready = condition(status(bad()), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidExpression")


def test_a_good_rule_says_which_generation_decides() -> None:
    assert condition(status(good(7)), "Ready")["message"] == "generation 7 is in force"


def test_a_rule_that_is_off_says_so() -> None:
    message = condition(status(good(7, "Disabled")), "Ready")["message"]
    assert message == "generation 7 is valid but disabled"


def test_a_bad_rule_says_what_is_wrong_and_which_generation_decides() -> None:
    assert condition(status(bad(8, active=5)), "Ready")["message"] == (
        "spec.expression: no field `amuont`\n"
        "  did you mean it?\n"
        "generation 5 stays in force until this is corrected"
    )


def test_a_rule_that_never_was_good_says_that_nothing_decides() -> None:
    message = condition(status(bad(active=0)), "Ready")["message"]
    assert message.endswith("\nno version is in force: none was valid so far")


def test_every_problem_is_told() -> None:
    other = Problem(field="spec.score", message="is too much")
    message = condition(status(bad(2, 1, PROBLEM, other)), "Ready")["message"]
    assert PROBLEM.text() in message
    assert other.text() in message


def test_what_the_detectors_have_is_told_of_the_version_that_decides() -> None:
    message = condition(status(bad(8, active=5), applied=1), "Applied")["message"]
    assert message == "generation 5 is in force on 1 of 2 detectors"


@pytest.mark.parametrize(
    ("standing", "applied", "detectors", "expected"),
    [
        (good(), 0, 0, ("Unknown", "NoDetectors")),
        (good(), 0, 1, ("False", "Propagating")),
        (good(), 1, 3, ("False", "Propagating")),
        (good(), 2, 3, ("False", "Propagating")),
        (good(), 3, 3, ("True", "Applied")),
        (good(reason="Disabled"), 3, 3, ("True", "Applied")),
        (bad(active=1), 0, 0, ("Unknown", "NoDetectors")),
        (bad(active=1), 1, 3, ("False", "Propagating")),
        (bad(active=1), 3, 3, ("True", "Applied")),
        (bad(active=0), 0, 3, ("False", "NothingToApply")),
        (bad(active=0), 0, 0, ("False", "NothingToApply")),
    ],
)
def test_applied_says_how_far_the_rule_is(
    standing: Standing, applied: int, detectors: int, expected: tuple[str, str]
) -> None:
    found = condition(status(standing, applied, detectors), "Applied")
    assert (found["status"], found["reason"]) == expected


def test_the_detectors_are_counted() -> None:
    assert status(good(), 2, 3)["applied"] == "2/3"


@pytest.mark.parametrize(
    ("standing", "expected"), [(good(3), 3), (bad(4, active=3), 3), (bad(4, active=0), None)]
)
def test_the_generation_that_decides_is_a_field_of_its_own(
    standing: Standing, expected: int | None
) -> None:
    assert status(standing).get("activeGeneration") == expected


def test_warnings_are_told() -> None:
    assert status(good(1, "Accepted", "one", "two"))["warnings"] == ["one", "two"]


def test_warnings_that_are_gone_are_told_no_more() -> None:
    before = status(good(1, "Accepted", "one"))
    assert "warnings" not in status(good(2), before=before)


STANDINGS = st.one_of(
    st.builds(good, st.integers(1, 4), st.sampled_from(["Accepted", "Disabled"])),
    st.builds(bad, st.integers(2, 4), st.integers(0, 1)),
)


@st.composite
def moments(draw: st.DrawFn) -> Moment:
    detectors = draw(st.integers(0, 2))
    standing = draw(STANDINGS)
    applied = draw(st.integers(0, detectors)) if standing.rule else 0
    return standing, applied, detectors


def lives(count: int = 10) -> st.SearchStrategy[list[Moment]]:
    return st.lists(moments(), min_size=1, max_size=count)


def statuses(life: list[Moment]) -> list[Status]:
    """The statuses of a rule one after another, a second apart; the first is of a new rule."""
    found: list[Status] = [{}]
    for second, (standing, applied, detectors) in enumerate(life):
        now = f"2026-01-01T12:00:{second:02}Z"
        found.append(status(standing, applied, detectors, found[-1], now))
    return found


@given(lives())
def test_a_transition_is_a_change_of_status_and_of_nothing_else(
    life: list[Moment],
) -> None:
    for kind in ("Ready", "Applied"):
        turned, last = "", ""
        for second, one in enumerate(statuses(life)[1:]):
            found = condition(one, kind)
            if found["status"] != last:
                turned, last = f"2026-01-01T12:00:{second:02}Z", found["status"]
            assert found["lastTransitionTime"] == turned


@given(moments())
def test_every_condition_has_the_generation_that_it_is_about(
    moment: Moment,
) -> None:
    found = status(*moment)
    observed = {c["observedGeneration"] for c in found["conditions"]}
    assert observed | {found["observedGeneration"]} == {moment[0].generation}


@given(moments())
def test_the_status_is_the_same_when_nothing_changed(moment: Moment) -> None:
    before = status(*moment)
    assert status(*moment, before, LATER) == before


@given(moments())
def test_nothing_is_news_when_nothing_changed(moment: Moment) -> None:
    before = status(*moment)
    assert news(before, status(*moment, before, LATER)) == []


@given(lives())
def test_whether_a_rule_is_ready_is_told_once_for_each_new_thing(
    life: list[Moment],
) -> None:
    found = statuses(life)
    last = None
    for before, after in pairwise(found):
        ready = condition(after, "Ready")
        said = tuple(ready[k] for k in ("status", "reason", "message", "observedGeneration"))
        assert [c.type for c in news(before, after)].count("Ready") == (said != last)
        last = said


@given(lives())
def test_on_the_way_to_the_detectors_only_the_arrival_is_told(
    life: list[Moment],
) -> None:
    found = statuses(life)
    for before, after in pairwise(found):
        applied = [c for c in news(before, after) if c.type == "Applied"]
        assert [c.reason for c in applied] in ([], ["Applied"])


def test_a_new_rule_is_news() -> None:
    assert told({}, status(good())) == [("Ready", "Accepted")]


def test_a_new_rule_that_is_bad_is_news() -> None:
    assert told({}, status(bad(1, active=0))) == [("Ready", "InvalidExpression")]


def test_the_news_has_the_message() -> None:
    (found,) = news({}, status(good(7)))
    assert found.message == "generation 7 is in force"


def test_a_rule_on_its_way_is_no_news() -> None:
    before = status(good(), 0)
    assert told(before, status(good(), 1, before=before)) == []


def test_a_rule_that_arrives_everywhere_is_news() -> None:
    before = status(good(), 1)
    assert told(before, status(good(), 2, before=before)) == [("Applied", "Applied")]


def test_one_detector_more_that_has_it_too_is_no_news() -> None:
    before = status(good(), 2, 2)
    assert told(before, status(good(), 3, 3, before=before)) == []


def test_a_detector_that_is_gone_is_no_news() -> None:
    before = status(good(), 2, 2)
    assert told(before, status(good(), 0, 0, before=before)) == []


def test_an_edit_that_is_good_too_is_news() -> None:
    before = status(good(1), 2)
    assert told(before, status(good(2), 0, before=before)) == [("Ready", "Accepted")]


def test_an_edit_that_arrives_at_once_is_told_as_ready_and_as_applied() -> None:
    before = status(good(1), 2)
    after = status(good(2), 2, before=before)
    assert told(before, after) == [("Ready", "Accepted"), ("Applied", "Applied")]


def test_an_edit_that_is_bad_like_the_one_before_is_news() -> None:
    before = status(bad(2, active=0))
    assert told(before, status(bad(3, active=0), before=before)) == [("Ready", "InvalidExpression")]


def test_another_problem_with_the_same_edit_is_news() -> None:
    other = Problem(field="spec.expression", message="no field `zzz`")
    before = status(bad(2, 0))
    after = status(bad(2, 0, other), before=before)
    assert told(before, after) == [("Ready", "InvalidExpression")]


def test_a_mended_rule_is_news() -> None:
    before = status(bad(2), 2)
    assert ("Ready", "Accepted") in told(before, status(good(3), 0, before=before))


LONG = Problem(field="spec", message="x" * 20_000)
WITHIN_BOUNDS = {
    "good": status(good()),
    "off": status(good(reason="Disabled")),
    "bad": status(bad()),
    "never good": status(bad(active=0)),
    "no detectors": status(good(), 0, 0),
    "everywhere": status(good(), 2, 2),
    "on many detectors": status(good(), 10**6, 10**7),
    "long problems": status(bad(2, 1, *[LONG] * 40)),
    "long problems in other letters": status(bad(2, 1, Problem(field="", message="ü" * 40_000))),
    "many warnings": status(good(1, "Accepted", *map(str, range(40)))),
    "a long warning": status(good(1, "Accepted", "x" * 5000)),
}


@pytest.mark.parametrize("found", WITHIN_BOUNDS.values(), ids=WITHIN_BOUNDS.keys())
def test_a_status_is_within_the_bounds_of_the_resource(found: Status) -> None:
    read = msgspec.convert(found, published.Status)
    assert msgspec.json.decode(msgspec.json.encode(read)) == {"warnings": [], **found}


def test_a_long_message_keeps_its_last_line() -> None:
    message = condition(status(bad(2, 1, *[LONG] * 40)), "Ready")["message"]
    assert len(message) <= 32768
    assert message.endswith("\ngeneration 1 stays in force until this is corrected")


@given(lives())
def test_every_reason_is_one_word_in_camel_case(life: list[Moment]) -> None:
    for one in statuses(life)[1:]:
        for found in one["conditions"]:
            assert found["reason"][0] in string.ascii_uppercase
            assert found["reason"].isalnum()


def test_the_conditions_have_no_types_but_these() -> None:
    assert [c["type"] for c in status(good())["conditions"]] == ["Ready", "Applied"]
