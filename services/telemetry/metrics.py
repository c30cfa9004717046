"""All metrics, with a registry for each service. docs/metrics.md is generated from this.

Labels are bounded: a rule, a currency and a partition can be one, but never an account.
Times are in seconds since 1970, durations in seconds.

There are no exemplars: they are links to traces, and there are no traces here. The headers of
a record have the decision about a single transaction.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

# A service serves its own metrics and those of its process. In a common registry, each service
# would export zeros for the metrics of the others.
DETECTOR, GENERATOR, OPERATOR = (CollectorRegistry() for _ in range(3))
for _registry in (DETECTOR, GENERATOR, OPERATOR):
    ProcessCollector(registry=_registry)
    PlatformCollector(registry=_registry)
    GCCollector(registry=_registry)

# Closest around the usual values: a commit waits for 10 to 100 ms. The last ones distinguish an
# outage of minutes from one of an hour.
_LATENCY_BUCKETS = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
)  # fmt: skip
# A commit takes 5 ms; each of its calls may take up to 5 s, and some are tried again.
_COMMIT_BUCKETS = (0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0)
# The aim is 2 s. Without a triggered refresh kubelet takes a minute; windows are rebuilt first.
_APPLY_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

TRANSACTIONS = Counter(
    "fraud_transactions",
    "Transactions judged and committed, by verdict.",
    ["verdict"],
    registry=DETECTOR,
)
STOPPED = Counter(
    "fraud_stopped_amount",
    "Money of the transactions that were judged fraud, in whole units of its currency.",
    ["currency"],
    registry=DETECTOR,
)
RULE_MATCHES = Counter(
    "fraud_rule_matches",
    "Committed transactions that a rule matched; in Shadow, what it would have done.",
    ["rule", "mode"],
    registry=DETECTOR,
)
RULE_ERRORS = Counter(
    "fraud_rule_errors",
    "Evaluations of a rule that failed; the rule then does not match.",
    ["rule", "error"],
    registry=DETECTOR,
)
COMMITS_FORGOTTEN = Counter(
    "fraud_commits_forgotten",
    "Committed offsets that were lower than those that this detector had committed.",
    registry=DETECTOR,
)
RULE_VALUES_MISSING = Counter(
    "fraud_rule_values_missing",
    "Evaluations of a rule that needed an aggregate without a value; the rule then does not match.",
    ["rule"],
    registry=DETECTOR,
)
DEAD_LETTERS = Counter(
    "fraud_dead_letters",
    "Records that are no transaction, by reason.",
    ["reason"],
    registry=DETECTOR,
)
DECISION_LATENCY = Histogram(
    "fraud_decision_latency",
    "From a record's timestamp to the commit of its verdict.",
    unit="seconds",
    buckets=_LATENCY_BUCKETS,
    registry=DETECTOR,
)
KAFKA_TRANSACTIONS = Counter(
    "fraud_kafka_transactions",
    "Kafka transactions, by how they ended.",
    ["outcome"],
    registry=DETECTOR,
)
COMMIT_DURATION = Histogram(
    "fraud_kafka_commit_duration",
    "How long a commit took, what was still to be written included.",
    unit="seconds",
    buckets=_COMMIT_BUCKETS,
    registry=DETECTOR,
)
REBALANCES = Counter(
    "fraud_rebalances",
    "Rebalances that changed what partitions this detector has, by what became of some.",
    ["change"],
    registry=DETECTOR,
)
CONSUMER_LAG = Gauge(
    "fraud_consumer_lag_records",
    "Offsets of an assigned partition from the committed one to the log's end.",
    ["topic", "partition"],
    registry=DETECTOR,
)
OUT_OF_ORDER = Counter(
    "fraud_transactions_out_of_order",
    "Judged transactions whose event time lies before the stream time of their partition.",
    registry=DETECTOR,
)
COMMITTED_OFFSET = Gauge(
    "fraud_committed_offset",
    "Offset of the input that is committed: all before it is judged.",
    ["topic", "partition"],
    registry=DETECTOR,
)
LOG_CHANGED = Gauge(
    "fraud_log_changed_timestamp",
    "When a partition's log was last found not to be what was committed: records were deleted "
    "before they were judged, the log lost its end, or the topic was created again.",
    ["partition", "reason"],
    unit="seconds",
    registry=DETECTOR,
)
DELETED_UNJUDGED = Counter(
    "fraud_deleted_unjudged_offsets",
    "Offsets deleted before they were judged: an upper bound of the records.",
    registry=DETECTOR,
)
AHEAD = Counter(
    "fraud_transactions_ahead",
    "Transactions with an event time more than MAX_FUTURE_SECONDS after the median of their block "
    "of 1,024 records: some producer's clock is ahead, or the block took that long to fill.",
    registry=DETECTOR,
)
KEYS = Counter(
    "fraud_keys_sampled",
    "Records whose key was compared with the field that the topic is keyed by.",
    ["outcome"],
    registry=DETECTOR,
)
REPLAYED = Counter(
    "fraud_replayed_records", "Records read again to rebuild windows.", registry=DETECTOR
)
WINDOW_ENTRIES = Gauge("fraud_window_entries", "Entries that the windows hold.", registry=DETECTOR)
WINDOW_BYTES = Gauge(
    "fraud_window", "Memory of the windows' entries.", unit="bytes", registry=DETECTOR
)
WINDOWS_SHORT = Gauge(
    "fraud_windows_short_partitions",
    "Partitions whose windows lack records; /ruleset and the rules' Exact have the reason.",
    registry=DETECTOR,
)
WINDOWS_REBUILDING = Gauge(
    "fraud_windows_rebuilding_partitions",
    "Partitions whose windows are being rebuilt.",
    registry=DETECTOR,
)
RULESET_INFO = Gauge(
    "fraud_ruleset_info", "The ruleset in force, by content hash.", ["hash"], registry=DETECTOR
)
RULESET_LOADED = Gauge(
    "fraud_ruleset_loaded_timestamp",
    "When the ruleset in force was taken into use.",
    unit="seconds",
    registry=DETECTOR,
)
RULES = Gauge("fraud_rules", "Rules that a detector has, by state.", ["state"], registry=DETECTOR)
RULE_STATE = Gauge(
    "fraud_rule_state",
    "1 for the state that a rule is in on a detector.",
    ["rule", "state"],
    registry=DETECTOR,
)
RULESET_RELOADS = Counter(
    "fraud_ruleset_reloads",
    "Changes of the rules' files: applied whole, or with a rule rejected.",
    ["outcome"],
    registry=DETECTOR,
)
RECONCILES = Counter(
    "fraud_operator_rounds",
    "Rounds of the operator, by how they ended.",
    ["outcome"],
    registry=OPERATOR,
)
DETECTORS = Gauge(
    "fraud_operator_detectors",
    "Detectors that run, all and those that are current.",
    ["which"],
    registry=OPERATOR,
)
OPERATOR_RULES = Gauge(
    "fraud_operator_rules", "FraudRules of the namespace, by state.", ["state"], registry=OPERATOR
)
RULE_INFO = Gauge(
    "fraud_rule_info",
    "1 for each rule that decides, to join what is known of it to other metrics.",
    ["rule", "severity", "mode", "action"],
    registry=OPERATOR,
)
APPLY_TO_LIVE = Histogram(
    "fraud_operator_apply_to_live",
    "From a FraudRule's change to the confirmation of the last detector that it is in force.",
    unit="seconds",
    buckets=_APPLY_BUCKETS,
    registry=OPERATOR,
)
REVIEWS = Counter(
    "fraud_operator_reviews",
    "FraudRules that the webhook reviewed, by what came of it.",
    ["outcome"],
    registry=OPERATOR,
)
WEBHOOK_TRUSTED = Gauge(
    "fraud_operator_webhook_trusted",
    "1 while the API server trusts the certificate of the webhook; absent without a webhook.",
    ["configuration"],
    registry=OPERATOR,
)
GENERATED = Counter(
    "fraud_generator_transactions",
    "Transactions that the generator wrote, by whether the broker acknowledged them.",
    ["outcome"],
    registry=GENERATOR,
)
CERTIFICATE_EXPIRY = Gauge(
    "fraud_certificate_expiry_timestamp",
    "When a certificate that the process uses ends.",
    ["certificate"],
    unit="seconds",
    registry=None,
)
for _registry in (DETECTOR, GENERATOR, OPERATOR):
    _registry.register(CERTIFICATE_EXPIRY)

# All values of labels with few values; other labels are names of rules, codes of errors, and the
# like.
LABEL_VALUES: dict[Counter | Gauge, tuple[str, ...]] = {
    TRANSACTIONS: ("legit", "fraud"),
    KAFKA_TRANSACTIONS: ("committed", "aborted"),
    REBALANCES: ("assigned", "revoked", "lost"),
    KEYS: ("match", "mismatch"),
    RULES: ("Ready", "Warming", "Disabled", "Stale", "Invalid"),
    RULESET_RELOADS: ("applied", "refused"),
    RECONCILES: ("ok", "failed"),
    DETECTORS: ("all", "current"),
    OPERATOR_RULES: ("Ready", "Propagating", "Warming", "Disabled", "Stale", "Invalid"),
    REVIEWS: ("accepted", "refused", "failed"),
    GENERATED: ("acknowledged", "failed"),
}
# They begin at 0, so that the first event of a kind is an increase.
for _metric, _values in LABEL_VALUES.items():
    for _value in _values:
        _metric.labels(_value)


# The year 2011, in which Kafka was first released.
_FIRST_TIME_MS = 1_293_840_000_000


def observe_latencies(appended_ms: npt.ArrayLike, now_ms: int) -> None:
    """Add the latencies of many records to `DECISION_LATENCY` at once: 20 ns each.

    Negative latencies (a producer's clock is fast) count as 0. Timestamps from before Kafka existed
    are invalid (0, -1, or seconds instead of milliseconds) and do not count.

    Args:
        appended_ms: int64[records], timestamps of the records, in epoch milliseconds.
        now_ms: Time of the commit, in epoch milliseconds.

    """
    # Imported here, so that services without latencies do without numpy.
    import numpy as np  # noqa: PLC0415

    appended = np.asarray(appended_ms, np.int64)
    ms = np.maximum(now_ms - appended[appended >= _FIRST_TIME_MS], 0)
    bounds = DECISION_LATENCY._upper_bounds[:-1]  # noqa: SLF001 - observe() takes one value at a time
    buckets = DECISION_LATENCY._buckets  # noqa: SLF001
    counts = np.bincount(np.searchsorted(bounds, ms / 1000), minlength=len(buckets))
    for bucket, n in zip(buckets, counts.tolist(), strict=True):
        bucket.inc(n)
    DECISION_LATENCY._sum.inc(int(ms.sum()) / 1000)  # noqa: SLF001


def count_stopped(payments: Iterable[tuple[str | None, float | None]]) -> None:
    """Add the money of many frauds to `STOPPED`: 0.1 µs each.

    Amounts below 0, as of a refund, are not counted.

    Args:
        payments: Currency and amount of each, in whole units; None if it has none.

    """
    totals: dict[str, float] = defaultdict(float)
    for currency, amount in payments:
        if currency is not None and amount is not None and amount > 0:
            totals[currency] += amount
    for currency, total in totals.items():
        STOPPED.labels(currency).inc(total)


def set_all(gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
    """Set a gauge to these values, and remove all others.

    Otherwise the value of a partition that has moved, or of a rule that was deleted,
    would be exported for ever.

    Args:
        gauge: Gauge with labels.
        values: Values by the labels' values, in their order.

    """
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
    for gone in gauge._metrics.keys() - values.keys():  # noqa: SLF001 - there is no public list of them
        gauge.remove(*gone)
