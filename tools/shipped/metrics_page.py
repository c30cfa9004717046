"""docs/metrics.md, generated from the declarations: `python -m tools.shipped.metrics_page`."""

# ruff: noqa: SLF001 - prometheus-client has no other way to the labels and bounds of a metric
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from services.telemetry import metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SERVICES = {
    "detector": metrics.DETECTOR,
    "operator": metrics.OPERATOR,
    "generator": metrics.GENERATOR,
}
_HEAD = """\
# Metrics

Made by `make metrics` from [services/telemetry/metrics.py](../services/telemetry/metrics.py). Each
service has them at `/metrics` of its status port, as OpenMetrics if accepted, beside those
of its process (`process_…`, `python_…`). A label's values are listed where they are few; the others
are names of rules, reasons, topics and partitions, and the codes of ISO 4217. No label is an
account, or anything else that a record may hold at will.

Labels with listed values are there from the start, at 0; so are the matches of each rule.
Prometheus adds `namespace`, `pod` and `container`. Times are in seconds since 1970.

There are no exemplars: they link to traces, and nothing here is traced; what became of a
transaction is in the headers of its record.

The dashboards ([charts/fraud-detection/dashboards](../charts/fraud-detection/dashboards)) and the
alerts show every one of these, and tests hold both to this list. The names of Kafka's own metrics
are those of Strimzi's metrics reporter; which ones there are is in
[kafka.yaml](../charts/kafka-cluster/templates/kafka.yaml).
"""
_COLUMNS = "| metric | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n"


def page() -> str:
    """Build the page."""
    parts = [_HEAD]
    for service, registry in SERVICES.items():
        rows = [_row(metric) for metric in _ours(registry)]
        parts.append(f"\n## The {service}\n\n{_COLUMNS}{''.join(rows)}")
    bounds = ", ".join(f"{bound:g}" for bound in metrics.DECISION_LATENCY._upper_bounds[:-1])
    parts.append(f"\nThe bounds of the latency's buckets are {bounds} s.\n")
    return "".join(parts)


def _ours(registry: CollectorRegistry) -> list[Any]:
    """The metrics of a registry that are not those of the process."""
    names = registry._collector_to_names
    return [collector for collector in names if hasattr(collector, "_labelnames")]


def _row(metric: Any) -> str:  # noqa: ANN401 - any kind of metric
    suffix = "_total" if metric._type == "counter" else ""
    values = ", ".join(metrics.LABEL_VALUES.get(metric, ()))
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    cells = [
        f"`{metric._name}{suffix}`",
        metric._type,
        f"{labels}: {values}" if values else labels,
        metric._unit,
        metric._documentation,
    ]
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |").replace("|  |", "| |")


if __name__ == "__main__":
    sys.stdout.write(page())
