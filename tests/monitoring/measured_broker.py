"""A broker that tells of itself as those of Strimzi do: with its metrics reporter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kafka import Broker
from tools.local_kafka.jars import provide
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable

_JARS = Path(__file__).with_name("reporter.sha256")
_PACKAGE = "io.strimzi.kafka.metrics"
_PROPERTIES = """\
metric.reporters={package}.KafkaPrometheusMetricsReporter
kafka.metrics.reporters={package}.YammerPrometheusMetricsReporter
prometheus.metrics.reporter.listener=http://127.0.0.1:{port}
prometheus.metrics.reporter.allowlist={allowed}
"""


class MeasuredBroker(Broker):
    """A broker with the reporter.

    Args:
        allowed: regular expressions of the metrics that it tells.

    """

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        # Of a class path with two folders, of which the last gets its /* where it is used.
        self._jars = Path(f"{self._jars}/*:{provide(_JARS)}")
        (self._metrics_port,) = free_ports(1)
        lines = _PROPERTIES.format(
            package=_PACKAGE, port=self._metrics_port, allowed=",".join(allowed)
        )
        with Path(self._folder.name, "server.properties").open("a", encoding="utf-8") as properties:
            properties.write(lines)

    @property
    def metrics(self) -> str:
        """Where its metrics are, as host:port."""
        return f"127.0.0.1:{self._metrics_port}"
