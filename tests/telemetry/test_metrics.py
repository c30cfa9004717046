from __future__ import annotations

import re
from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.telemetry import metrics
from tools.shipped.metrics_page import page

REGISTRIES = (metrics.DETECTOR, metrics.GENERATOR, metrics.OPERATOR)
# Free text, or one of many: no metric may have them.
UNBOUNDED = {"account", "source", "target", "id", "merchant", "device", "ip", "key", "offset"}


def declared() -> dict[str, Any]:
    """Our metrics, by name."""
    return {
        metric._name: metric for metric in vars(metrics).values() if hasattr(metric, "_labelnames")
    }


def test_the_page_of_metrics_is_made_from_them() -> None:
    assert Path("docs/metrics.md").read_text("utf-8") == page(), "run `make metrics`"


def test_a_service_tells_of_its_own_metrics_and_of_its_process() -> None:
    for registry, own in zip(REGISTRIES, ("window", "generator", "operator"), strict=True):
        names = {family.name for family in registry.collect()}
        assert any(own in name for name in names)
        assert {"process_cpu_seconds", "python_info"} <= names
        others = {"window", "generator", "operator"} - {own}
        assert not [name for name in names if any(other in name for other in others)]


def test_what_prometheus_is_told_is_openmetrics() -> None:
    for registry in REGISTRIES:
        text = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
        families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
        assert len({family.name for family in families}) == len(families)
        for family in (f for f in families if f.name.startswith("fraud_")):
            assert family.name.endswith(f"_{family.unit}") or not family.unit


@pytest.mark.parametrize("name", declared())
def test_each_metric_says_what_it_is_in_a_sentence_and_has_bounded_labels(name: str) -> None:
    metric = declared()[name]
    assert re.fullmatch(r"[A-Z1].+\.", metric._documentation)
    assert not UNBOUNDED & set(metric._labelnames)
    assert re.fullmatch(r"fraud(_[a-z]+)+", name)
    base_unit = re.search(r"_(seconds|bytes)$", name)
    assert metric._unit == (base_unit[1] if base_unit else "")


@pytest.mark.parametrize("metric", metrics.LABEL_VALUES, ids=lambda metric: metric._name)
def test_labels_with_known_values_are_there_from_the_start(metric: Any) -> None:
    (label,) = metric._labelnames
    (family,) = metric.collect()
    there = {sample.labels[label] for sample in family.samples}
    assert there == set(metrics.LABEL_VALUES[metric])


NOW_MS = 1_767_268_800_000


def buckets(histogram: Histogram) -> list[float]:
    """How many observations each bucket holds, those of the lower ones included, and the sum."""
    samples = [s for family in histogram.collect() for s in family.samples]
    return [s.value for s in samples if s.name.endswith(("_bucket", "_sum", "_count"))]


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
        metrics.observe_latencies(
            [NOW_MS - ms for ms, n in counts.items() for _ in range(n)], NOW_MS
        )
    assert buckets(together) == pytest.approx(buckets(one_by_one))


def test_a_latency_on_a_bound_belongs_below_it(histogram: Histogram) -> None:
    metrics.observe_latencies([NOW_MS - 50] * 3, NOW_MS)
    at = bisect_left(histogram._upper_bounds, 0.05)
    assert [b.get() for b in histogram._buckets[: at + 1]] == [0.0] * at + [3.0]


def test_a_record_ahead_of_the_clock_counts_as_no_latency(histogram: Histogram) -> None:
    far_ahead_ms = NOW_MS * 1000  # a clock in microseconds
    metrics.observe_latencies([NOW_MS + 7_000, NOW_MS + 1, far_ahead_ms], NOW_MS)
    assert histogram._buckets[0].get() == 3
    assert histogram._sum.get() == 0


def test_a_timestamp_that_is_no_time_has_no_latency(histogram: Histogram) -> None:
    none_ms = [0, -1, -62_135_596_800_000, NOW_MS // 1000, -(1 << 63)]
    metrics.observe_latencies(none_ms, NOW_MS)
    metrics.observe_latencies([*none_ms, NOW_MS - 2_000], NOW_MS)
    assert sum(bucket.get() for bucket in histogram._buckets) == 1
    assert histogram._sum.get() == 2


def test_money_is_added_up_for_each_currency_and_a_refund_stops_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter = Counter("stopped", "Fresh.", ["currency"], registry=CollectorRegistry())
    monkeypatch.setattr(metrics, "STOPPED", counter)
    metrics.count_stopped([("USD", 950.5), ("JPY", 120.0), ("USD", 49.5), ("EUR", -20.0)])
    metrics.count_stopped([])
    found = {currency: counter.labels(currency)._value.get() for currency in ("USD", "JPY", "EUR")}
    assert found == {"USD": 1000.0, "JPY": 120.0, "EUR": 0.0}


def test_a_gauge_that_is_set_as_a_whole_forgets_what_it_had() -> None:
    gauge = Gauge("lag", "Fresh.", ["topic", "partition"], registry=CollectorRegistry())
    metrics.set_all(gauge, {("t", "0"): 1, ("t", "1"): 2})
    metrics.set_all(gauge, {("t", "1"): 3})
    (family,) = gauge.collect()
    assert [(s.labels, s.value) for s in family.samples] == [({"topic": "t", "partition": "1"}, 3)]
