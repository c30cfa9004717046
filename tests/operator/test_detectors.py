"""Which pods are detectors, how each stands by its own page, and when it is poked."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.ruleset_source import RulesetSource
from services.operator.detectors import (
    REFRESH_ANNOTATION,
    Detector,
    Page,
    Refreshed,
    Report,
    brief,
    detectors,
    read_page,
    refresh_value,
    refreshes,
    report,
)
from services.operator.rulebook import Rulebook
from services.rules import RuleStore
from tests.support.rules import COMPILER, rule

if TYPE_CHECKING:
    from pathlib import Path

    from services.operator.detectors import Answer

Pod = dict[str, Any]

STATUS_PORT = {"name": "status", "containerPort": 8080}
METRICS_PORT = {"name": "metrics", "containerPort": 9090}
GONE: Any = "gone"


def pod(name: str = "detector-0", **changes: Any) -> Pod:
    """A pod that runs; a change that is GONE takes the field away."""
    metadata = {"name": name, "uid": f"uid-of-{name}", "annotations": {}}
    status = {"phase": "Running", "podIP": "10.0.0.7"}
    ports: Any = [METRICS_PORT, STATUS_PORT]
    for field, value in changes.items():
        if field == "ports":
            ports = value
            continue
        part = status if field in status else metadata
        part.update({field: value})
        if value is GONE:
            del part[field]
    container = {"name": "detector"} if ports is GONE else {"name": "detector", "ports": ports}
    return {"metadata": metadata, "spec": {"containers": [container]}, "status": status}


def detector(uid: str = "uid-of-detector-0") -> Detector:
    return Detector(pod="detector-0", uid=uid, url="http://10.0.0.7:8080/ruleset", refreshed="")


def test_a_pod_that_runs_is_a_detector() -> None:
    assert detectors([pod()]) == [detector()]


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "Pending"},
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"phase": "Unknown"},
        {"phase": GONE},
        {"podIP": ""},
        {"podIP": None},
        {"podIP": GONE},
        {"deletionTimestamp": "2026-01-01T12:00:00Z"},
        {"ports": []},
        {"ports": None},
        {"ports": GONE},
        {"ports": [METRICS_PORT]},
        {"ports": [{"containerPort": 8080}]},
    ],
    ids=str,
)
def test_a_pod_that_cannot_answer_is_none(changes: dict[str, Any]) -> None:
    assert detectors([pod(**changes)]) == []


def test_a_pod_without_a_status_is_none() -> None:
    bare = pod()
    del bare["status"]
    assert detectors([bare]) == []


def test_a_pod_that_is_none_takes_no_other_with_it() -> None:
    found = detectors([pod("a", phase="Pending"), pod("b"), pod("c", ports=[])])
    assert [d.pod for d in found] == ["b"]


def test_detectors_come_in_the_order_of_their_names() -> None:
    found = detectors([pod("c"), pod("a"), pod("b")])
    assert [d.pod for d in found] == ["a", "b", "c"]


def test_the_port_may_be_of_any_container() -> None:
    meshed = pod()
    meshed["spec"]["containers"].insert(0, {"name": "proxy", "ports": [METRICS_PORT]})
    assert detectors([meshed]) == [detector()]


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    (found,) = detectors([pod(podIP="fd00::7")])
    assert found.url == "http://[fd00::7]:8080/ruleset"


@pytest.mark.parametrize(
    ("annotations", "refreshed"),
    [
        (GONE, ""),
        (None, ""),
        ({}, ""),
        ({"other": "x"}, ""),
        ({REFRESH_ANNOTATION: "abc.2"}, "abc.2"),
    ],
)
def test_the_last_poke_is_read_from_the_pod(annotations: Any, refreshed: str) -> None:
    (found,) = detectors([pod(annotations=annotations)])
    assert found.refreshed == refreshed


def test_a_page_is_read() -> None:
    body = b'{"hash": "abc", "inForce": {"one": "1", "two": "2"}}'
    assert read_page(body) == Page("abc", {"one": "1", "two": "2"})


def test_what_else_a_page_says_is_passed_over() -> None:
    body = b'{"hash": "abc", "loadedAt": 1.5, "inForce": {}, "rules": [{"name": "one"}]}'
    assert read_page(body) == Page("abc", {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"5",
        b"NaN",
        b"<html>",
        b"{}",
        b'{"hash": "abc"}',
        b'{"inForce": {}}',
        b'{"hash": "abc", "inForce": {',
        b'{"hash": "abc", "inForce": {}} {}',
        b'{"hash": null, "inForce": {}}',
        b'{"hash": 5, "inForce": {}}',
        b'{"hash": "\\ud800", "inForce": {}}',
        b'{"hash": "\xff", "inForce": {}}',
        b'{"hash": "abc", "inForce": null}',
        b'{"hash": "abc", "inForce": []}',
        b'{"hash": "abc", "inForce": {"one": null}}',
        b'{"hash": "abc", "inForce": {"one": 1}}',
        b'{"hash": "abc", "inForce": {}, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 5000,
    ],
    ids=lambda body: repr(body[:60]),
)
def test_what_is_no_page_is_told_in_words(body: bytes) -> None:
    answer = read_page(body)
    assert isinstance(answer, str)
    assert answer.startswith("its /ruleset cannot be read: ")


@given(st.binary())
def test_any_bytes_are_told_in_words(body: bytes) -> None:
    assert isinstance(read_page(body), str)


def page(*, ruleset: str = "abc", **rules: str) -> Page:
    return Page(ruleset, rules)


def stands(
    answer: Answer, rules: dict[str, str], ruleset: str = "abc"
) -> tuple[str, tuple[str, ...]]:
    """A detector's state, and which rules it lacks."""
    found = report(detector(), answer, rules, ruleset, "source")
    return found.state, found.missing


@pytest.mark.parametrize(
    ("answer", "state", "missing"),
    [
        (page(a="1", b="2"), "Current", ()),
        (page(b="2", a="1"), "Current", ()),
        (page(a="1"), "Stale", ("b",)),
        (page(), "Stale", ("a", "b")),
        (page(a="1", b=""), "Stale", ("b",)),
        (page(a="1", b="an older one"), "Stale", ("b",)),
        (page(a="2", b="1"), "Stale", ("a", "b")),
        (page(a="1", b="2", removed="3"), "Stale", ()),
        (page(a="1", removed="3"), "Stale", ("b",)),
        (page(ruleset="other", a="1", b="2"), "OtherSettings", ()),
        (page(ruleset="other", a="1"), "Stale", ("b",)),
        (page(ruleset="other", a="1", b="2", removed="3"), "Stale", ()),
        ("does not answer: ConnectError", "Silent", ("a", "b")),
    ],
)
def test_a_detector_stands_as_its_page_says(
    answer: Answer, state: str, missing: tuple[str, ...]
) -> None:
    assert stands(answer, {"b": "2", "a": "1"}) == (state, missing)


def test_without_rules_a_detector_without_rules_is_current() -> None:
    assert stands(page(), {}) == ("Current", ())


def test_without_rules_a_detector_that_still_has_one_is_stale() -> None:
    assert stands(page(removed="3"), {}) == ("Stale", ())


def test_a_silent_detector_is_reported_with_the_reason() -> None:
    assert report(
        detector(), "does not answer: ReadTimeout", {"a": "1"}, "abc", "source"
    ) == Report(
        pod="detector-0",
        state="Silent",
        hash="",
        missing=("a",),
        message="does not answer: ReadTimeout",
    )


def test_a_stale_detector_is_reported_with_the_reason() -> None:
    message = report(detector(), page(a="0"), {"a": "1"}, "abc", "source").message
    assert message == "it still has an older ruleset"


def test_a_detector_with_other_settings_is_reported_with_the_reason() -> None:
    message = report(detector(), page(ruleset="other", a="1"), {"a": "1"}, "abc", "source").message
    assert message == "its SCORE_THRESHOLD or schema is not the operator's"


def test_there_is_nothing_to_say_of_a_detector_that_is_current() -> None:
    assert report(detector(), page(a="1"), {"a": "1"}, "abc", "source").message == ""


def test_a_report_has_the_hash_that_is_in_force() -> None:
    assert report(detector(), page(ruleset="other"), {"a": "1"}, "abc", "source").hash == "other"


class RealDetector:
    """The rules of a detector that mounts what a rulebook says, on the page that it serves."""

    def __init__(self, folder: Path) -> None:
        self.rulebook = Rulebook(COMPILER, 100)
        self._file = folder / "ruleset.json"

    def publish(self, *names: str) -> None:
        """Have the rulebook take rules of these names, and write its document."""
        self.rulebook.update(_object(name) for name in names)
        self._file.write_text(self.rulebook.document(), encoding="utf-8")

    def answer(self, threshold: int = 100) -> Answer:
        """What a detector that starts now answers."""
        return read_page(RulesetSource(self._file, RuleStore(COMPILER, threshold)).page())

    def state(self, answer: Answer) -> str:
        """How a detector stands that gave this answer."""
        return stands(answer, self.rulebook.rule_hashes, self.rulebook.hash)[0]


def _object(name: str) -> dict[str, Any]:
    made = rule(name)
    return {
        "apiVersion": made.api_version,
        "kind": made.kind,
        "metadata": {"name": name, "generation": 1},
        "spec": {"expression": made.spec.expression},
    }


@pytest.fixture
def real(tmp_path: Path) -> RealDetector:
    return RealDetector(tmp_path)


def test_a_real_detector_that_read_the_document_is_current(real: RealDetector) -> None:
    real.publish("one", "other")
    assert real.state(real.answer()) == "Current"


def test_a_real_detector_without_rules_is_current_when_there_are_none(real: RealDetector) -> None:
    real.publish()
    assert real.state(real.answer()) == "Current"


def test_a_real_detector_is_stale_until_it_has_a_new_rule(real: RealDetector) -> None:
    real.publish("one")
    answer = real.answer()
    real.publish("one", "other")
    assert real.state(answer) == "Stale"


def test_a_real_detector_is_stale_until_a_removed_rule_is_gone(real: RealDetector) -> None:
    real.publish("one", "other")
    answer = real.answer()
    real.publish("one")
    assert real.state(answer) == "Stale"


def test_a_real_detector_of_another_threshold_has_other_settings(real: RealDetector) -> None:
    real.publish("one")
    assert real.state(real.answer(threshold=50)) == "OtherSettings"


A, B = "a" * 16, "b" * 16


def test_a_detector_that_is_stale_is_poked() -> None:
    assert refreshes([detector("u")], A, {}, 5.0) == {"u": Refreshed(A, 5.0, 1)}


def test_nobody_is_poked_when_all_are_current() -> None:
    assert refreshes([], A, {"u": Refreshed(A, 0.0, 1)}, 1000.0) == {}


def test_each_stale_detector_is_poked() -> None:
    assert refreshes([detector("u"), detector("v")], A, {}, 0.0).keys() == {"u", "v"}


def test_one_that_was_poked_just_now_is_left_alone() -> None:
    assert refreshes([detector("u")], A, {"u": Refreshed(A, 0.0, 1)}, 1.9) == {}


def test_a_new_ruleset_is_poked_for_at_once() -> None:
    before = {"u": Refreshed(A, 0.0, 7)}
    assert refreshes([detector("u")], B, before, 0.1) == {"u": Refreshed(B, 0.1, 1)}


def test_a_ruleset_that_is_back_is_poked_for_at_once() -> None:
    known: dict[str, Refreshed] = {}
    for now, ruleset in enumerate([A, B, A]):
        known |= refreshes([detector("u")], ruleset, known, now / 10)
    assert known == {"u": Refreshed(A, 0.2, 1)}


def test_a_new_pod_is_poked_whatever_others_were() -> None:
    before = {"u": Refreshed(A, 0.0, 1)}
    assert refreshes([detector("u"), detector("new")], A, before, 0.1).keys() == {"new"}


def test_a_pod_that_stays_stale_is_poked_more_and_more_seldom_up_to_once_a_minute() -> None:
    known: dict[str, Refreshed] = {}
    times = []
    for now in range(400):
        due = refreshes([detector("u")], A, known, now)
        times += [now] * len(due)
        known |= due
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(0, 100)), max_size=30))
def test_every_poke_has_another_value_than_the_one_before(steps: list[tuple[str, float]]) -> None:
    known: dict[str, Refreshed] = {}
    now, last = 0.0, ""
    for ruleset, pause in steps:
        now += pause
        due = refreshes([detector("u")], ruleset, known, now)
        known |= due
        for refreshed in due.values():
            assert refresh_value(refreshed) != last
            last = refresh_value(refreshed)


@given(st.sampled_from([A, B]), st.integers(1, 10_000))
def test_the_value_of_a_poke_says_for_which_ruleset_it_is(ruleset: str, times: int) -> None:
    assert refresh_value(Refreshed(ruleset, 0.0, times)).split(".")[0] == ruleset


def test_what_is_told_of_a_detector_stays_short_however_many_rules_it_lacks() -> None:
    rules = {f"rule-{i}": "1" for i in range(1000)}
    assert brief(report(detector(), "does not answer", rules, "abc", "source")).missing == ("*",)


def test_a_few_rules_that_a_detector_lacks_are_told_by_name() -> None:
    told = report(detector(), page(a="1"), {"a": "1", "b": "2"}, "abc", "source")
    assert brief(told) == told
