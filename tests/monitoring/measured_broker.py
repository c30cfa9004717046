"""A broker that tells of itself as those of Strimzi do: with its metrics reporter."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from services.local_kafka import Broker, DistributionError
from services.this_machine import cache_folder, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = "0.2.0"
_POM = Path(__file__).with_name("reporter-pom.xml")
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
        self._jars = Path(f"{self._jars}/*:{_reporter_jars()}")
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


def _reporter_jars() -> Path:
    """Give the folder with the reporter's jars, fetching them when it is not there.

    Raises:
        DistributionError: Maven is missing, or could not fetch.

    """
    folder = cache_folder() / f"metrics-reporter-{VERSION}"
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise DistributionError("no mvn found; install Maven, which fetches the metrics reporter")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside its place and then renamed, so that a broken fetch is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={temporary}/jars"]
        more = ["-DincludeScope=runtime", f"-Dreporter.version={VERSION}"]
        command = [maven, "-q", "-B", "-f", str(_POM), *goal, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().split("\n")[:5])
            raise DistributionError(f"Maven could not fetch the metrics reporter:\n{tail}")
        try:
            Path(temporary, "jars").rename(folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise
    return folder
