"""The dashboard of the stream: rate, lag, latency, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.shipped.dashboards.panels import NAMESPACE, Query, board, graph, number
from tools.shipped.dashboards.uids import FRAUD, KAFKA, RULES, STREAM

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

_HERE = 'namespace="$namespace"'
_OURS = 'container=~"detector|generator|operator"'
_LAG = f"max by (topic, partition) (fraud_consumer_lag_records{{{_HERE}}})"
_JUDGED = f"rate(fraud_decision_latency_seconds_count{{{_HERE}}}[$__rate_interval])"


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_HERE}{more}}}[$__rate_interval]))"


def _quantile(q: float, histogram: str) -> Query:
    buckets = _rate(f"{histogram}_bucket", "le")
    return Query(f"histogram_quantile({q}, {buckets})", f"p{100 * q:g}")


def stream() -> Dashboard:
    """Build the dashboard."""
    return board(
        STREAM,
        "Fraud detection / Stream",
        "Whether transactions are judged as they come: pace, lag, latency, and what goes wrong.",
        [NAMESPACE],
        [
            number(
                "Records",
                "Records a second that are judged, dead letters included.",
                "cps",
                Query(f"sum({_JUDGED})", "judged"),
                see=FRAUD,
            ),
            number(
                "Lag",
                "Records that wait to be judged. If it grows, there are too few detectors.",
                "short",
                Query(f"sum({_LAG})", "records"),
                see=KAFKA,
            ),
            number(
                "Latency, p99",
                "Of 100 records, 99 have their verdict committed so soon after their timestamp.",
                "s",
                _quantile(0.99, "fraud_decision_latency_seconds"),
                see=STREAM,
            ),
            number(
                "Detectors",
                "That run, and that have the ruleset of the operator in force.",
                "short",
                Query(
                    f"sum by (which) (fraud_operator_detectors{{{_HERE}}})",
                    "{{which}}",
                ),
                see=RULES,
            ),
            graph(
                "Throughput by detector",
                "Records a second that each judges. Unequal shares: unequal partitions.",
                "cps",
                Query(f"sum by (pod) ({_JUDGED})", "{{pod}}"),
                see=STREAM,
            ),
            graph(
                "Lag by partition",
                "Records that wait. A single partition: one account, or one key, has them all.",
                "short",
                Query(_LAG, "{{topic}} {{partition}}"),
                see=KAFKA,
            ),
            graph(
                "Latency",
                "From a record's timestamp to the commit of its verdict.",
                "s",
                *(_quantile(q, "fraud_decision_latency_seconds") for q in (0.5, 0.9, 0.99)),
                see=STREAM,
            ),
            graph(
                "Commits and aborts",
                "Kafka transactions a second. An abort costs time, and loses nothing.",
                "cps",
                Query(_rate("fraud_kafka_transactions_total", "outcome"), "{{outcome}}"),
                see=KAFKA,
            ),
            graph(
                "Duration of a commit",
                "Three requests to the brokers. If it grows, look at them.",
                "s",
                *(_quantile(q, "fraud_kafka_commit_duration_seconds") for q in (0.5, 0.99)),
                see=KAFKA,
            ),
            graph(
                "Rebalances",
                "Changes of what partitions a detector has. Lost ones: it was away for too long.",
                "short",
                Query(
                    "sum by (pod, change) "
                    f"(increase(fraud_rebalances_total{{{_HERE}}}[$__rate_interval]))",
                    "{{pod}} {{change}}",
                ),
                see=STREAM,
            ),
            graph(
                "Dead letters",
                "Records a second that are no transaction, by reason (docs/operations.md), and "
                "offsets that were deleted before they were judged.",
                "cps",
                Query(_rate("fraud_dead_letters_total", "reason"), "{{reason}}"),
                Query(
                    f"sum(rate(fraud_deleted_unjudged_offsets_total{{{_HERE}}}[$__rate_interval]))",
                    "deleted unjudged",
                ),
                see=FRAUD,
            ),
            graph(
                "Times and keys",
                "Transactions a second that come out of order or far ahead of the stream time, "
                "and, of the keys that are sampled, those that differ from the declared field.",
                "cps",
                Query(
                    f"sum(rate(fraud_transactions_ahead_total{{{_HERE}}}[$__rate_interval]))",
                    "clock ahead",
                ),
                Query(
                    f"sum(rate(fraud_transactions_out_of_order_total{{{_HERE}}}[$__rate_interval]))",
                    "out of order",
                ),
                Query(
                    _rate("fraud_keys_sampled_total", "outcome", ',outcome="mismatch"'),
                    "wrong key",
                ),
                see=RULES,
            ),
            graph(
                "Memory of windows",
                "What the entries of all windows take on each detector.",
                "bytes",
                Query(f"max by (pod) (fraud_window_bytes{{{_HERE}}})", "{{pod}}"),
                see=RULES,
            ),
            graph(
                "Entries of windows",
                "How many transactions are kept, as some window still reaches them.",
                "short",
                Query(f"max by (pod) (fraud_window_entries{{{_HERE}}})", "{{pod}}"),
                see=RULES,
            ),
            graph(
                "Partitions whose windows are not whole",
                "Being rebuilt: one that moved waits until it is done. Short: the log begins too "
                "late.",
                "short",
                Query(f"sum(fraud_windows_rebuilding_partitions{{{_HERE}}})", "being rebuilt"),
                Query(f"sum(fraud_windows_short_partitions{{{_HERE}}})", "short"),
                see=RULES,
            ),
            graph(
                "Records read again",
                "A second, to rebuild windows.",
                "cps",
                Query(_rate("fraud_replayed_records_total", "pod"), "{{pod}}"),
                see=RULES,
            ),
            graph(
                "Generated transactions",
                "A second, by whether the broker acknowledged them. Nothing without a generator.",
                "cps",
                Query(_rate("fraud_generator_transactions_total", "outcome"), "{{outcome}}"),
                see=STREAM,
            ),
            graph(
                "CPU",
                "Cores that each process uses; a detector judges with one.",
                "short",
                Query(_rate("process_cpu_seconds_total", "pod", f",{_OURS}"), "{{pod}}"),
                see=STREAM,
            ),
            graph(
                "Memory",
                "Resident memory of each process.",
                "bytes",
                Query(
                    f"max by (pod) (process_resident_memory_bytes{{{_HERE},{_OURS}}})", "{{pod}}"
                ),
                see=STREAM,
            ),
            graph(
                "Certificates",
                "How long they are valid still. Strimzi renews its own 30 days before.",
                "s",
                Query(
                    "min by (pod, certificate) "
                    f"(fraud_certificate_expiry_timestamp_seconds{{{_HERE}}}) - time()",
                    "{{pod}} {{certificate}}",
                ),
                see=KAFKA,
            ),
        ],
    )
