"""The last decision of a record is the detector's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.detector.answers import answer_forged

if TYPE_CHECKING:
    from services.streams.processing import Headers, Route

NOTHING: Headers = [("fraud.decision", b"nothing matched")]
MATCHED: Headers = [("fraud.decision", b"matched")]


def answered(route: Route, headers: Headers | None) -> Route:
    routes = [("before", None), route, ("after", None)]
    answer_forged(routes, [None, headers, [("other", b"1")]], NOTHING)
    assert (routes[0], routes[2]) == (("before", None), ("after", None))
    return routes[1]


@pytest.mark.parametrize("forged", [None, b"", b"\xff", b'{"verdict": "fraud"}'])
def test_a_record_that_came_with_a_decision_gets_ours_where_nothing_matched(
    forged: bytes | None,
) -> None:
    assert answered(("legit", None), [("a", b"1"), ("fraud.decision", forged), ("b", None)]) == (
        "legit",
        NOTHING,
    )


@pytest.mark.parametrize(
    "headers", [None, [], [("fraud.decisions", b"")], [("FRAUD.decision", None)]]
)
def test_a_record_that_came_without_one_gets_none(headers: Headers | None) -> None:
    assert answered(("legit", None), headers) == ("legit", None)


def test_a_record_that_gets_a_header_anyway_keeps_that() -> None:
    forged: Headers = [("fraud.decision", b"forged")]
    assert answered(("fraud", MATCHED), forged) == ("fraud", MATCHED)
