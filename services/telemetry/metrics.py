"""Every metric of every service. Labels are bounded: a rule is one, an account never."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    import numpy.typing as npt

_LATENCY_BUCKETS = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

TRANSACTIONS = Counter(
    "fraud_transactions", "Transactions judged and committed, by verdict.", ["verdict"]
)
RULE_MATCHES = Counter(
    "fraud_rule_matches", "Committed transactions that a rule matched.", ["rule", "mode"]
)
RULE_ERRORS = Counter(
    "fraud_rule_errors",
    "Evaluations of a rule that failed; the rule then does not match.",
    ["rule", "error"],
)
DEAD_LETTERS = Counter(
    "fraud_dead_letters", "Records that are no transaction, by reason.", ["reason"]
)
DECISION_LATENCY = Histogram(
    "fraud_decision_latency_seconds",
    "From a record's timestamp to the commit of its verdict.",
    buckets=_LATENCY_BUCKETS,
)
KAFKA_TRANSACTIONS = Counter(
    "fraud_kafka_transactions", "Kafka transactions, by how they ended.", ["outcome"]
)
CONSUMER_LAG = Gauge(
    "fraud_consumer_lag_records",
    "Records of an assigned partition that are not judged yet.",
    ["topic", "partition"],
)
OUT_OF_ORDER = Counter(
    "fraud_transactions_out_of_order",
    "Transactions whose event time lies before that of an earlier one of their partition.",
)
KEYS = Counter(
    "fraud_keys_sampled",
    "Records whose key was compared with the field that the topic is keyed by.",
    ["outcome"],
)
REPLAYED = Counter("fraud_replayed_records", "Records read again to rebuild windows.")
WINDOW_ENTRIES = Gauge("fraud_window_entries", "Entries that the windows hold.")
WINDOW_BYTES = Gauge("fraud_window_bytes", "Memory of the windows' entries.")
WINDOWS_SHORT = Gauge(
    "fraud_windows_short_partitions",
    "Partitions whose log began too late for the windows to be exact yet.",
)
WINDOWS_REBUILDING = Gauge(
    "fraud_windows_rebuilding_partitions", "Partitions whose windows are being rebuilt."
)
RULESET_INFO = Gauge("fraud_ruleset_info", "The ruleset in force, by content hash.", ["hash"])
RULESET_LOADED = Gauge(
    "fraud_ruleset_loaded_timestamp_seconds", "When the ruleset in force was taken into use."
)
RULES = Gauge("fraud_rules", "Rules, by state.", ["state"])
RULESET_RELOADS = Counter(
    "fraud_ruleset_reloads",
    "Changes of the rules' files: applied whole, or with a rule refused.",
    ["outcome"],
)
RECONCILES = Counter(
    "fraud_operator_rounds", "Rounds of the operator, by how they ended.", ["outcome"]
)
DETECTORS = Gauge(
    "fraud_operator_detectors", "Detectors that run, all and those that are current.", ["which"]
)
GENERATED = Counter(
    "fraud_generator_transactions",
    "Transactions that the generator wrote, by whether the broker acknowledged them.",
    ["outcome"],
)


def observe_latencies(latencies_ms: npt.ArrayLike) -> None:
    """Add many latencies to `DECISION_LATENCY` at once: 20 ns each.

    Negative ones (a producer's clock is ahead) count as 0.

    Args:
        latencies_ms: whole milliseconds, one a record.

    """
    # The services that measure none do without it.
    import numpy as np  # noqa: PLC0415

    ms = np.maximum(np.asarray(latencies_ms, np.int64), 0)
    bounds = DECISION_LATENCY._upper_bounds[:-1]  # noqa: SLF001 - observe() takes one value at a time
    buckets = DECISION_LATENCY._buckets  # noqa: SLF001
    counts = np.bincount(np.searchsorted(bounds, ms / 1000), minlength=len(buckets))
    for bucket, n in zip(buckets, counts.tolist(), strict=True):
        bucket.inc(n)
    DECISION_LATENCY._sum.inc(int(ms.sum()) / 1000)  # noqa: SLF001
