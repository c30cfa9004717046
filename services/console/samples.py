"""Parse the `/metrics` and the `/ruleset` of a detector at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

# Metrics that are used, with the label to group by; values of other labels are added up.
_COUNTERS = {
    "fraud_transactions_total": "verdict",
    "fraud_dead_letters_total": "reason",
    "fraud_rule_matches_total": "rule",
    "fraud_rule_errors_total": "rule",
    "fraud_decision_latency_seconds_bucket": "le",
}
VERDICTS, DEAD_LETTERS, MATCHES, ERRORS, LATENCIES = _COUNTERS
_LAG = "fraud_consumer_lag_records"

# By metric and value of that label.
Counts = dict[tuple[str, str], float]


class RuleLine(msgspec.Struct, frozen=True):
    """A rule on a detector's page."""

    name: str
    state: str
    mode: str
    message: str = ""


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """A detector's `/ruleset`: the rules in force (with their hashes), and each rule's state."""

    hash: str
    in_force: dict[str, str]
    rules: tuple[RuleLine, ...]


class Sample(NamedTuple):
    """A detector at one moment. Counts are since its start."""

    counts: Counts
    lag: int
    page: Page

    @property
    def judged(self) -> int:
        """Number of records with a verdict, or that became dead letters."""
        return int(sum(by_label(self.counts, VERDICTS).values())) + self.dead_letters

    @property
    def legit(self) -> int:
        """Number of legit transactions."""
        return int(self.counts.get((VERDICTS, "legit"), 0))

    @property
    def fraud(self) -> int:
        """Number of frauds."""
        return int(self.counts.get((VERDICTS, "fraud"), 0))

    @property
    def dead_letters(self) -> int:
        """Number of rejected records."""
        return int(sum(by_label(self.counts, DEAD_LETTERS).values()))

    @property
    def matches(self) -> dict[str, int]:
        """Number of matches of each rule, in all modes."""
        return {rule: int(n) for rule, n in by_label(self.counts, MATCHES).items()}


def read_sample(metrics: str, ruleset: bytes) -> Sample:
    """Parse the answers of a detector.

    Raises:
        ValueError: These are not the pages of a detector.

    """
    page = msgspec.json.decode(ruleset, type=Page)
    counts: Counts = {}
    lag = 0.0
    families = text_string_to_metric_families(metrics)
    for sample in (sample for family in families for sample in family.samples):
        if label := _COUNTERS.get(sample.name):
            key = sample.name, sample.labels[label]
            counts[key] = counts.get(key, 0) + sample.value
        elif sample.name == _LAG:
            lag += sample.value
    return Sample(counts, int(lag), page)


def by_label(counts: Mapping[tuple[str, str], float], metric: str) -> dict[str, float]:
    """Return the counts of one metric, by the value of its label."""
    return {value: n for (name, value), n in counts.items() if name == metric}


def quantile(
    before: Mapping[tuple[str, str], float], now: Mapping[tuple[str, str], float], q: float
) -> float | None:
    """Estimate a quantile of the latencies, in seconds, between two moments.

    Returns:
        The upper bound of the quantile's bucket (that of the last one is infinite), or None
        without data.

    """
    grown = {
        float(bound): n - before.get((LATENCIES, bound), 0)
        for bound, n in by_label(now, LATENCIES).items()
    }
    total = max(grown.values(), default=0)
    if not total:
        return None
    return next(bound for bound, n in sorted(grown.items()) if n >= q * total)
