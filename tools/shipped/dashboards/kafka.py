"""The dashboard of Kafka's health; the names are those of Strimzi's metrics reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.shipped.dashboards.panels import NAMESPACE, Query, board, graph, number
from tools.shipped.dashboards.uids import KAFKA, STREAM

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

_HERE = 'namespace="$namespace"'
_SERVER = "kafka_server_brokertopicmetrics"
# Of our clients, those that a commit and a fetch make.
_REQUESTS = "Produce|FetchConsumer|AddOffsetsToTxn|TxnOffsetCommit|EndTxn"


def _topics(metric: str) -> Query:
    chosen = f'{_HERE},topic!="",topic!~"__.*"'
    return Query(
        f"sum by (topic) (rate({_SERVER}_{metric}{{{chosen}}}[$__rate_interval]))", "{{topic}}"
    )


def kafka() -> Dashboard:
    """Build the dashboard."""
    return board(
        KAFKA,
        "Fraud detection / Kafka",
        "Whether Kafka is well. The metrics are those of Strimzi's metrics reporter.",
        [
            NAMESPACE._replace(
                query="label_values(kafka_server_replicamanager_partitioncount, namespace)",
                about="Where Kafka runs.",
            )
        ],
        [
            number(
                "Brokers",
                "That are registered and not fenced.",
                "short",
                Query(
                    f"max(kafka_controller_kafkacontroller_activebrokercount{{{_HERE}}})", "active"
                ),
                see=KAFKA,
            ),
            number(
                "Partitions without a leader",
                "Nothing can be written to them or read from them. Other than 0: brokers are away.",
                "short",
                Query(
                    f"max(kafka_controller_kafkacontroller_offlinepartitionscount{{{_HERE}}})",
                    "offline",
                ),
                see=KAFKA,
            ),
            number(
                "Partitions below their minimum",
                "Fewer replicas have all of it than have to: writes to them are refused.",
                "short",
                Query(
                    f"sum(kafka_server_replicamanager_underminisrpartitioncount{{{_HERE}}})",
                    "below",
                ),
                see=KAFKA,
            ),
            number(
                "Partitions behind",
                "A replica does not have all of it. Normal for a while when a broker restarts.",
                "short",
                Query(
                    f"sum(kafka_server_replicamanager_underreplicatedpartitions{{{_HERE}}})",
                    "behind",
                ),
                see=KAFKA,
            ),
            graph(
                "Records written",
                "A second, by topic. Legit, fraud and dead letters together are what comes in.",
                "cps",
                _topics("messagesinpersec_total"),
                see=STREAM,
            ),
            graph(
                "Bytes written",
                "A second, by topic.",
                "Bps",
                _topics("bytesinpersec_total"),
                see=STREAM,
            ),
            graph(
                "Bytes read",
                "A second, by topic.",
                "Bps",
                _topics("bytesoutpersec_total"),
                see=STREAM,
            ),
            graph(
                "Size of the log",
                "What is kept, by topic. It grows until the topic's retention is reached.",
                "bytes",
                Query(f'sum by (topic) (kafka_log_log_size{{{_HERE},topic!~"__.*"}})', "{{topic}}"),
                see=KAFKA,
            ),
            graph(
                "Requests",
                "A second, of the kinds that detectors and generators make.",
                "reqps",
                Query(
                    "sum by (request) (rate(kafka_network_requestmetrics_totaltimems_count"
                    f'{{{_HERE},request=~"{_REQUESTS}"}}[$__rate_interval]))',
                    "{{request}}",
                ),
                see=STREAM,
            ),
            graph(
                "Duration of requests, p99",
                "A fetch waits for records to come, and so may take as long as it is let.",
                "ms",
                Query(
                    "max by (request) (kafka_network_requestmetrics_totaltimems"
                    f'{{{_HERE},request=~"{_REQUESTS}",quantile="0.99"}})',
                    "{{request}}",
                ),
                see=STREAM,
            ),
            graph(
                "Failed requests",
                "Writes and reads a second that a broker refused.",
                "reqps",
                Query(
                    f"sum(rate({_SERVER}_failedproducerequestspersec_total"
                    f'{{{_HERE},topic=""}}[$__rate_interval]))',
                    "writes",
                ),
                Query(
                    f"sum(rate({_SERVER}_failedfetchrequestspersec_total"
                    f'{{{_HERE},topic=""}}[$__rate_interval]))',
                    "reads",
                ),
                see=KAFKA,
            ),
            graph(
                "Idle network threads",
                "The share of their time that they have nothing to do. Below 0.3: add brokers.",
                "percentunit",
                Query(
                    "min by (pod) "
                    f"(kafka_network_socketserver_networkprocessoravgidlepercent{{{_HERE}}})",
                    "{{pod}}",
                ),
                see=KAFKA,
            ),
            graph(
                "Leaders",
                "Partitions that each broker leads. Unequal for long: rebalance them.",
                "short",
                Query(
                    f"max by (pod) (kafka_server_replicamanager_leadercount{{{_HERE}}})", "{{pod}}"
                ),
                see=KAFKA,
            ),
            graph(
                "Changes of replicas in step",
                "A second: replicas that fall behind, and that catch up.",
                "cps",
                Query(
                    "sum(rate(kafka_server_replicamanager_isrshrinkspersec_total"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "fall behind",
                ),
                Query(
                    "sum(rate(kafka_server_replicamanager_isrexpandspersec_total"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "catch up",
                ),
                see=KAFKA,
            ),
        ],
    )
