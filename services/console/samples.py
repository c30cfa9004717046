"""What a detector says of itself at one moment: its `/metrics` and its `/ruleset`, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is counted, and the label that it is counted by; other labels are added up.
_COUNTERS = {
    "fraud_transactions_total": "verdict",
    "fraud_dead_letters_total": "reason",
    "fraud_rule_matches_total": "rule",
    "fraud_rule_errors_total": "rule",
    "fraud_decision_latency_seconds_bucket": "le",
}
VERDICTS, DEAD_LETTERS, MATCHES, ERRORS, LATENCIES = _COUNTERS
_LAG = "fraud_consumer_lag_records"

# By metric and the value of its label.
Counts = dict[tuple[str, str], float]


class RuleLine(msgspec.Struct, frozen=True):
    """A rule as a detector tells of it."""

    name: str
    state: str
    mode: str
    message: str = ""


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """A detector's `/ruleset`: what is in force (the hash of each rule), and how each stands."""

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
        """Records that have their verdict, or are dead letters."""
        return int(sum(by_label(self.counts, VERDICTS).values())) + self.dead_letters

    @property
    def legit(self) -> int:
        """Transactions that are legit."""
        return int(self.counts.get((VERDICTS, "legit"), 0))

    @property
    def fraud(self) -> int:
        """Transactions that are fraud."""
        return int(self.counts.get((VERDICTS, "fraud"), 0))

    @property
    def dead_letters(self) -> int:
        """Records that are no transaction."""
        return int(sum(by_label(self.counts, DEAD_LETTERS).values()))

    @property
    def matches(self) -> dict[str, int]:
        """How often each rule matched, in all modes."""
        return {rule: int(n) for rule, n in by_label(self.counts, MATCHES).items()}


def read_sample(metrics: str, ruleset: bytes) -> Sample:
    """Read what a detector answered.

    Raises:
        ValueError: these are not the pages of a detector.

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
    """Give the counts of one metric, by the value of its label."""
    return {value: n for (name, value), n in counts.items() if name == metric}


def quantile(
    before: Mapping[tuple[str, str], float], now: Mapping[tuple[str, str], float], q: float
) -> float | None:
    """Estimate a quantile of the latencies, in seconds, that came between two moments.

    Returns:
        The upper bound of the bucket that it falls into (that of the last is infinite), or None
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
