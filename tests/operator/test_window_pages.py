"""What a detector's page tells of its windows, and what is made of it."""

from __future__ import annotations

import pytest

from services.operator.detectors import (
    Detector,
    Doubt,
    Keying,
    Page,
    Short,
    Windows,
    brief,
    doubts,
    read_page,
    report,
)

DETECTOR = Detector(pod="detector-0", uid="u", url="http://10.0.0.7:8080/ruleset", refreshed="")


@pytest.mark.parametrize(
    "more",
    [
        '"pending": 5',
        '"warming": "a"',
        '"warming": [1]',
        '"warming": null',
        '"windows": []',
        '"windows": {"short": [{"partition": "0", "until": 5}]}',
        '"windows": {"short": [{}]}',
        '"keying": {"sampled": "many"}',
        '"keying": null',
    ],
)
def test_what_cannot_be_read_of_windows_takes_no_rule_away(more: str) -> None:
    body = f'{{"hash": "abc", "inForce": {{"one": "1"}}, {more}}}'.encode()
    assert read_page(body) == Page("abc", {"one": "1"})


def test_each_reason_that_windows_lack_records_is_a_doubt_of_its_own() -> None:
    found = doubtful(
        Short(3, "2026-01-01T12:00:00Z", "RecordsDeleted"),
        Short(4, None, "PartitionsAdded"),
        Short(5, None, "PartitionsAdded"),
    )
    assert found == [
        Doubt("PartitionsAdded", "detector-0, partition 4, 5"),
        Doubt("RecordsDeleted", "detector-0, partition 3 until 2026-01-01T12:00:00Z"),
    ]


def test_what_a_page_tells_of_windows_is_read() -> None:
    body = (
        b'{"hash": "abc", "inForce": {}, "pending": "def", "warming": ["one"],'
        b' "windows": {"short": [{"partition": 3, "until": "2026-01-01T12:00:00Z"}], "x": 1},'
        b' "keying": {"field": "source", "sampled": 1000, "mismatched": 3, "x": 1}}'
    )
    short = Short(3, "2026-01-01T12:00:00Z")
    keying = Keying("source", 1000, 3)
    assert read_page(body) == Page("abc", {}, "def", ("one",), Windows((short,)), keying)


def warming(
    *names: str, pending: str | None = "abc", in_force: dict[str, str] | None = None
) -> Page:
    """The page of a detector with rule a in force that builds windows of others."""
    return Page("older", {"a": "1", **(in_force or {})}, pending, names)


@pytest.mark.parametrize(
    ("answer", "state", "missing", "waits"),
    [
        (warming("b"), "Warming", ("b",), ("b",)),
        (warming("b", in_force={"b": "an older one"}), "Warming", ("b",), ("b",)),
        (warming("b", pending=None), "Warming", ("b",), ("b",)),
        (warming("b", "c"), "Warming", ("b",), ("b",)),
        (warming("b", pending="another"), "Stale", ("b",), ()),
        (warming("c"), "Stale", ("b",), ()),
        (warming("b", in_force={"removed": "3"}), "Stale", ("b",), ("b",)),
        (warming("a", in_force={"b": "2"}), "OtherSettings", (), ()),
    ],
)
def test_a_detector_that_lacks_only_what_it_builds_windows_for_is_warming(
    answer: Page, state: str, missing: tuple[str, ...], waits: tuple[str, ...]
) -> None:
    found = report(DETECTOR, answer, {"a": "1", "b": "2"}, "abc", "source")
    assert (found.state, found.missing, found.warming) == (state, missing, waits)


def test_a_detector_is_stale_that_lacks_more_than_it_builds_windows_for() -> None:
    rules = {"a": "1", "b": "2", "c": "3"}
    found = report(DETECTOR, warming("b"), rules, "abc", "source")
    assert (found.state, found.missing, found.warming) == ("Stale", ("b", "c"), ("b",))


def keyed(field: str, **rules: str) -> Page:
    return Page("abc", rules, keying=Keying(field))


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (keyed("source", a="1"), "Current", ""),
        (keyed("", a="1"), "Current", ""),
        (keyed("target", a="1"), "OtherSettings", "its KEYED_BY is target, and the operator's"),
        (keyed("target"), "Stale", "its KEYED_BY is target, and the operator's source"),
    ],
)
def test_another_keyed_by_is_told_of(answer: Page, state: str, message: str) -> None:
    found = report(DETECTOR, answer, {"a": "1"}, "abc", "source")
    assert found.state == state
    assert found.message.startswith(message)


def doubtful(*short: Short, sampled: int = 1000, mismatched: int = 0) -> list[Doubt]:
    keying = Keying("source", sampled, mismatched)
    return doubts(DETECTOR, Page("abc", {}, windows=Windows(short), keying=keying))


def test_windows_that_have_all_are_beyond_doubt() -> None:
    assert doubtful() == []
    assert doubts(DETECTOR, "does not answer") == []


def test_partitions_whose_log_began_too_late_are_told_of() -> None:
    found = doubtful(Short(3, "2026-01-01T12:00:00Z"), Short(7, "2026-01-01T12:30:00Z"))
    said = "detector-0, partition 3 until 2026-01-01T12:00:00Z, 7 until 2026-01-01T12:30:00Z"
    assert found == [Doubt("RetentionTooShort", said)]


def test_of_many_partitions_some_are_told_of() -> None:
    (found,) = doubtful(*(Short(i, "noon") for i in range(1000)))
    assert found.said.endswith("9 until noon and 990 more")


@pytest.mark.parametrize(
    ("mismatched", "sampled", "share"),
    [
        (3, 1000, "0.3 %"),
        (1, 1_000_000, "0.0001 %"),
        (50, 1000, "5 %"),
        (1000, 1000, "100 %"),
        (5, 0, "100 %"),
        (1, 3, "30 %"),
    ],
)
def test_keys_that_are_not_as_declared_are_told_of_in_per_cent(
    mismatched: int, sampled: int, share: str
) -> None:
    (found,) = doubtful(sampled=sampled, mismatched=mismatched)
    said = f"about {share} of the keys that detector-0 looked at are not source"
    assert found == Doubt("WronglyKeyed", said)


def test_a_share_that_hardly_changes_is_told_in_the_same_words() -> None:
    assert doubtful(sampled=10_000, mismatched=31) == doubtful(sampled=10_100, mismatched=32)


def test_what_is_told_of_a_detector_that_builds_many_windows_stays_short_too() -> None:
    rules = {f"rule-{i}": "1" for i in range(1000)}
    all_of_them = brief(report(DETECTOR, Page("b", {}, "abc", tuple(rules)), rules, "abc", "x"))
    assert (all_of_them.missing, all_of_them.warming) == (("*",), ("*",))
    many = tuple(rules)[:900]
    most = brief(report(DETECTOR, Page("b", {}, "abc", many), rules, "abc", "source"))
    assert most.missing == ("*",)
    assert len(most.warming) == 50
