from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.console.detectors import Known, Unknown
from services.console.figures import WINDOW_SECONDS, Figures, Rates
from services.console.latest import Trouble
from services.console.samples import Sample, quantile, read_sample
from services.console.state import State, state_of

METRICS = """\
# TYPE fraud_transactions counter
fraud_transactions_total{verdict="legit"} 90.0
fraud_transactions_total{verdict="fraud"} 10.0
# TYPE fraud_dead_letters counter
fraud_dead_letters_total{reason="empty"} 2.0
fraud_dead_letters_total{reason="malformed_json"} 3.0
# TYPE fraud_rule_matches counter
fraud_rule_matches_total{mode="Enforce",rule="high-amount"} 10.0
fraud_rule_matches_total{mode="Shadow",rule="high-amount"} 4.0
# TYPE fraud_rule_errors counter
fraud_rule_errors_total{error="overflow",rule="high-amount"} 1.0
# TYPE fraud_decision_latency_seconds histogram
fraud_decision_latency_seconds_bucket{le="0.05"} 50.0
fraud_decision_latency_seconds_bucket{le="0.1"} 99.0
fraud_decision_latency_seconds_bucket{le="+Inf"} 100.0
fraud_decision_latency_seconds_count 100.0
fraud_decision_latency_seconds_sum 5.0
# TYPE fraud_consumer_lag_records gauge
fraud_consumer_lag_records{partition="0",topic="t"} 7.0
fraud_consumer_lag_records{partition="1",topic="t"} 5.0
"""


def page(*rules: dict[str, Any], in_force: dict[str, str] | None = None) -> bytes:
    told = {"hash": "0a", "inForce": in_force or {}, "rules": rules, "more": "of another version"}
    return json.dumps(told).encode()


def rule(name: str, state: str = "Ready", mode: str = "Enforce", message: str = "") -> Any:
    return {"name": name, "state": state, "mode": mode, "message": message, "generation": 1}


def sample(*rules: dict[str, Any], **in_force: str) -> Sample:
    return read_sample(METRICS, page(*rules, in_force=in_force))


def moment(known: list[Known], **more: Any) -> State:
    figures = Figures()
    for one in known:
        if one.answers and one.sample:
            figures.add(one.address, one.sample.counts)
    given: dict[str, Any] = {"unknown": [], "frauds": [], "trouble": None, "rates": Rates()}
    return state_of(at=100.0, known=known, totals=figures.totals, **(given | more))


def test_a_detectors_pages_are_read() -> None:
    found = sample(rule("high-amount"))
    assert (found.legit, found.fraud, found.dead_letters, found.judged) == (90, 10, 5, 105)
    assert found.matches == {"high-amount": 14}
    assert found.lag == 12


@pytest.mark.parametrize(
    ("metrics", "ruleset"),
    [
        ("<html>", page()),
        (METRICS, b"<html>"),
        (METRICS, b'{"hash": "0a"}'),
        (METRICS, page({"name": 5})),
        (METRICS, b"[" * 100_000),
    ],
)
def test_what_is_no_detector_is_refused(metrics: str, ruleset: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_sample(metrics, ruleset)


def test_a_quantile_is_that_of_what_came_between() -> None:
    counts = sample().counts
    assert quantile({}, counts, 0.5) == 0.05
    assert quantile({}, counts, 0.99) == 0.1
    assert quantile(counts, counts, 0.5) is None
    later = {**counts, ("fraud_decision_latency_seconds_bucket", "+Inf"): 200.0}
    assert quantile(counts, later, 0.5) == float("inf")


VERDICT = "fraud_transactions_total"


def counted(legit: float, fraud: float = 0) -> dict[tuple[str, str], float]:
    return {(VERDICT, "legit"): legit, (VERDICT, "fraud"): fraud}


def test_rates_are_of_all_detectors_over_the_window() -> None:
    figures = Figures()
    assert figures.rates() == Rates()
    for n in range(3 * int(WINDOW_SECONDS)):
        figures.add("a", counted(1000 + 90 * n, 10 * n))
        figures.add("b", counted(100 * n))
        figures.tick(float(n))
    found = figures.rates()
    assert found.transactions == pytest.approx(200)
    assert found.fraud == pytest.approx(10)
    assert found.share == pytest.approx(0.05)


def test_what_a_detector_had_when_it_was_first_seen_is_in_the_totals_and_no_rate() -> None:
    figures = Figures()
    figures.tick(0.0)
    figures.add("a", counted(1_000_000))
    figures.tick(1.0)
    assert figures.rates().transactions == 0
    assert figures.rates().share is None
    assert figures.totals[VERDICT, "legit"] == 1_000_000


def test_a_detector_that_begins_anew_goes_on_counting() -> None:
    figures = Figures()
    for n in (50, 60, 5, 7):
        figures.add("a", counted(n))
    assert figures.totals[VERDICT, "legit"] == 50 + 10 + 5 + 2


def test_a_detector_that_is_gone_takes_nothing_away() -> None:
    figures = Figures()
    figures.add("a", counted(50))
    figures.forget("a")
    figures.add("b", counted(5))
    assert figures.totals[VERDICT, "legit"] == 55


def test_a_rule_is_told_of_over_all_detectors() -> None:
    known = [
        Known("a", sample(rule("high-amount"), **{"high-amount": "v1"})),
        Known("b", sample(rule("high-amount", "Stale", "Shadow", "bad"), **{"high-amount": "v2"})),
        Known("c", sample(rule("other"))),
    ]
    first, second = moment(known).rules
    assert (first.name.shown, first.state, first.mode) == (
        "high-amount",
        "Stale",
        "Enforce and Shadow",
    )
    assert (first.matches, first.errors) == (42, 3)
    assert (first.in_force, first.versions, first.message.shown) == (2, 2, "bad")
    assert (second.name.shown, second.in_force, second.versions) == ("other", 0, 0)


def test_rules_are_still_told_of_while_no_detector_answers() -> None:
    silent = Known("a", sample(rule("high-amount"), **{"high-amount": "v1"}), 50.0, "gone")
    state = moment([silent])
    assert [(r.name.shown, r.in_force) for r in state.rules] == [("high-amount", 0)]
    assert state.lag is None
    assert state.answering == 0


def test_what_is_missing_is_said_with_its_time() -> None:
    state = moment(
        [Known("a", None, 50.0, "no connection to it"), Known("b", sample())],
        unknown=[Unknown("detectors", 40.0, "Name or service not known")],
        trouble=Trouble(30.0, "Local: Broker transport failure"),
    )
    assert [(m.what, m.since, m.said) for m in state.missing] == [
        ("Detectors at detectors", 40.0, "Name or service not known"),
        ("Detector a", 50.0, "no connection to it"),
        ("Kafka's topic of frauds", 30.0, "Local: Broker transport failure"),
    ]
    assert [(d.address, d.answers, d.lag) for d in state.detectors] == [
        ("a", False, None),
        ("b", True, 12),
    ]


def test_dead_letters_are_by_reason_the_most_frequent_first() -> None:
    state = moment([Known("a", sample())])
    assert [(d.reason.shown, d.count) for d in state.dead_letters] == [
        ("malformed_json", 3),
        ("empty", 2),
    ]
    assert state.totals.dead_letters == 5


def test_a_state_is_json_with_names_and_no_places() -> None:
    told = msgspec.json.decode(msgspec.json.encode(moment([Known("a", sample())])))
    assert told["rates"].keys() == {"transactions", "fraud", "share", "p50", "p99"}
    assert told["detectors"][0]["address"] == "a"
