"""What a status tells of matches: the detectors' counts, added up, at a calm pace."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.detectors import Page, Recent, read_page
from services.operator.matches import Counted, add_up, matches_status

BEGAN = datetime(2026, 1, 1, 11, 0, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
TOLD = {
    "lastHour": 107,
    "enforce": 100,
    "shadow": 7,
    "since": "2026-01-01T11:00:00Z",
    "observedAt": "2026-01-01T12:00:00Z",
}


def text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def page(since: float, **matches: dict[str, int]) -> Page:
    return Page("abc", {}, recent=Recent(since, matches))


def counted(enforce: int, shadow: int = 7) -> Counted:
    matches = Counter({("one", "Enforce"): enforce, ("one", "Shadow"): shadow})
    return Counted(BEGAN.timestamp(), matches)


def after(seconds: float, enforce: int = 100, shadow: int = 7) -> Any:
    """The status so long after it was told first, with these counts."""
    now = text(NOON + timedelta(seconds=seconds))
    return matches_status("one", counted(enforce, shadow), TOLD, now)


def test_what_detectors_count_is_added_up_by_rule_and_mode() -> None:
    found = add_up(
        [page(5.0, one={"Enforce": 3, "Shadow": 2}), page(7.0, one={"Enforce": 4}, other={})]
    )
    expected: Counter[tuple[str, str]] = Counter({("one", "Enforce"): 7, ("one", "Shadow"): 2})
    assert found == Counted(7.0, expected)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        ["does not answer: ConnectError"],
        [page(5.0, one={"Enforce": 3}), "does not answer: ReadTimeout"],
        [page(5.0, one={"Enforce": 3}), Page("abc", {})],
    ],
)
def test_without_the_count_of_each_detector_there_is_no_sum(answers: list[Any]) -> None:
    assert add_up(answers) is None


def test_a_page_of_a_detector_is_read() -> None:
    body = {"hash": "abc", "inForce": {}, "recent": {"since": 5.5, "matches": {"a": {"Shadow": 1}}}}
    assert read_page(json.dumps(body).encode()) == page(5.5, a={"Shadow": 1})


def test_the_first_sum_is_told_at_once() -> None:
    assert matches_status("one", counted(100), None, text(NOON)) == TOLD


def test_a_rule_that_never_matched_is_told_to_have_none() -> None:
    told = matches_status("other", counted(100), None, text(NOON))
    assert told == {**TOLD, "lastHour": 0, "enforce": 0, "shadow": 0}


def test_without_a_sum_what_was_told_stays() -> None:
    assert matches_status("one", None, TOLD, text(NOON + timedelta(days=1))) == TOLD
    assert matches_status("one", None, None, text(NOON)) is None


def test_within_a_minute_nothing_is_told_anew() -> None:
    assert after(59, enforce=100_000) == TOLD
    assert after(60, enforce=100_000)["enforce"] == 100_000


@pytest.mark.parametrize(
    ("enforce", "shadow", "anew"),
    [
        (100, 7, False),
        (105, 7, False),
        (95, 7, False),
        (106, 7, True),
        (94, 7, True),
        (0, 7, True),
        (100, 8, True),
        (100, 0, True),
    ],
)
def test_only_another_number_is_told_anew(enforce: int, shadow: int, anew: bool) -> None:
    found = after(300, enforce, shadow)
    assert (found != TOLD) == anew
    if anew:
        assert found["lastHour"] == enforce + shadow
        assert found["observedAt"] == "2026-01-01T12:05:00Z"


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200))
def test_what_is_told_is_never_far_from_the_truth_and_never_written_fast(counts: list[int]) -> None:
    """A look every five seconds, as the operator makes when all is settled."""
    told: Any = None
    written = []
    for look, n in enumerate(counts):
        now = NOON + timedelta(seconds=5 * look)
        before = told
        told = matches_status("one", counted(n, 0), before, text(now))
        if told != before:
            written.append(look)
            assert told["lastHour"] == n
        elif look - written[-1] >= 12:
            assert abs(told["lastHour"] - n) <= told["lastHour"] / 20
    assert all(b - a >= 12 for a, b in pairwise(written))
