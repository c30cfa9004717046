from __future__ import annotations

import re
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.telemetry import metrics

FAMILIES = {
    "fraud_transactions_total": {"verdict"},
    "fraud_rule_matches_total": {"rule", "mode"},
    "fraud_rule_errors_total": {"rule", "error"},
    "fraud_dead_letters_total": {"reason"},
    "fraud_decision_latency_seconds": set(),
    "fraud_kafka_transactions_total": {"outcome"},
    "fraud_consumer_lag_records": {"topic", "partition"},
    "fraud_transactions_out_of_order_total": set(),
    "fraud_keys_sampled_total": {"outcome"},
    "fraud_replayed_records_total": set(),
    "fraud_window_entries": set(),
    "fraud_window_bytes": set(),
    "fraud_windows_short_partitions": set(),
    "fraud_windows_rebuilding_partitions": set(),
    "fraud_ruleset_info": {"hash"},
    "fraud_ruleset_loaded_timestamp_seconds": set(),
    "fraud_rules": {"state"},
    "fraud_ruleset_reloads_total": {"outcome"},
    "fraud_operator_rounds_total": {"outcome"},
    "fraud_operator_detectors": {"which"},
    "fraud_generator_transactions_total": {"outcome"},
}


def declared() -> dict[str, Counter | Gauge | Histogram]:
    found = {}
    for value in vars(metrics).values():
        if isinstance(value, Counter | Gauge | Histogram):
            suffix = "_total" if isinstance(value, Counter) else ""
            found[value._name + suffix] = value
    return found


def buckets(histogram: Histogram) -> list[float]:
    """How many observations each bucket holds, those of the lower ones included, and the sum."""
    samples = [s for family in histogram.collect() for s in family.samples]
    return [s.value for s in samples if s.name.endswith(("_bucket", "_sum", "_count"))]


def test_these_are_the_metrics_and_their_labels() -> None:
    assert {name: set(m._labelnames) for name, m in declared().items()} == FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_each_metric_says_what_it_is_in_a_sentence(name: str) -> None:
    assert re.fullmatch(r"[A-Z].+\.", declared()[name]._documentation)


@pytest.fixture
def histogram(monkeypatch: pytest.MonkeyPatch) -> Histogram:
    """A latency histogram of its own in place of the one of the process."""
    fresh = like(metrics.DECISION_LATENCY)
    monkeypatch.setattr(metrics, "DECISION_LATENCY", fresh)
    return fresh


def like(histogram: Histogram) -> Histogram:
    bounds = histogram._upper_bounds
    return Histogram("seconds", "Fresh.", buckets=bounds, registry=CollectorRegistry())


@given(st.dictionaries(st.integers(0, 100_000), st.integers(1, 50), max_size=20))
def test_latencies_added_together_are_as_if_added_one_by_one(counts: dict[int, int]) -> None:
    one_by_one, together = like(metrics.DECISION_LATENCY), like(metrics.DECISION_LATENCY)
    for ms, n in counts.items():
        for _ in range(n):
            one_by_one.observe(ms / 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "DECISION_LATENCY", together)
        metrics.observe_latencies([ms for ms, n in counts.items() for _ in range(n)])
    assert buckets(together) == pytest.approx(buckets(one_by_one))


def test_a_latency_on_a_bound_belongs_below_it(histogram: Histogram) -> None:
    metrics.observe_latencies([50, 50, 50])
    at = bisect_left(histogram._upper_bounds, 0.05)
    assert [b.get() for b in histogram._buckets[: at + 1]] == [0.0] * at + [3.0]


def test_a_record_ahead_of_the_clock_counts_as_no_latency(histogram: Histogram) -> None:
    metrics.observe_latencies([-7_000, -1])
    assert histogram._buckets[0].get() == 2
    assert histogram._sum.get() == 0
