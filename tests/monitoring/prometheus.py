"""A real Prometheus on loopback, and promtool, as Debian's package `prometheus` has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import yaml

from tests.support.streaming import until
from tools.this_machine import die_with_parent, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What Kubernetes gives to every target of a PodMonitor; the queries select by it.
NAMESPACE = "fraud"
SCRAPE_SECONDS = 1
START_SECONDS = 180.0
STOP_SECONDS = 60.0
# Where a packaged Prometheus is, whatever the PATH.
_FOLDERS = "/usr/bin:/usr/local/bin"


class PrometheusError(Exception):
    """Prometheus is not there, did not start, or refused; the text says what to do."""


class Sample(NamedTuple):
    """One element of a vector that a query gave."""

    labels: dict[str, str]
    value: float


def program(name: str) -> str:
    """Give the path of `prometheus` or `promtool`.

    Raises:
        PrometheusError: it is not installed.

    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_FOLDERS}")
    if found is None:
        raise PrometheusError(f"no {name} found; install Debian's package prometheus")
    return found


def promtool(*arguments: str, stdin: str = "") -> str:
    """Run promtool, and give what it printed.

    Raises:
        PrometheusError: it failed; the text is what it said.

    """
    done = subprocess.run(
        [program("promtool"), *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PrometheusError(f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Prometheus:
    """A Prometheus that scrapes each second; it ends with the process that started it.

    Its targets have the labels that a PodMonitor gives them: `namespace` is
    `NAMESPACE`, `container` the job, `pod` the address unless the target names it.

    Args:
        folder: for its configuration, data and log; made by the caller.
        scrape: for each job the addresses, as host:port or pod@host:port.
        rules: files of recording and alerting rules.

    """

    def __init__(
        self, folder: Path, scrape: Mapping[str, Sequence[str]], rules: Sequence[Path] = ()
    ) -> None:
        self._program = program("prometheus")
        self._folder = Path(tempfile.mkdtemp(prefix="prometheus-", dir=folder))
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._expected = sum(map(len, scrape.values()))
        self._configure(scrape, rules)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return when it answers and every target was scraped.

        Raises:
            PrometheusError: it ended before.

        """
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder}/prometheus.yaml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--enable-feature=exemplar-storage",
                    "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        try:
            until(self._scraped, "Prometheus has scraped every target once", START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop, and keep the data."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def query(self, promql: str) -> list[Sample]:
        """Evaluate an expression now, and give its elements; a scalar has no labels.

        Raises:
            PrometheusError: it is no PromQL, or its evaluation failed.

        """
        data = self.get("/api/v1/query", query=promql)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing, each with labels, annotations and state."""
        found: list[dict[str, Any]] = self.get("/api/v1/alerts")["alerts"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, each with health and lastError."""
        found: list[dict[str, Any]] = self.get("/api/v1/targets")["activeTargets"]
        return found

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its API, and give the data of the answer.

        Raises:
            PrometheusError: it refused.

        """
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - http, above
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode()
            raise PrometheusError(f"{path} {parameters}: {said}") from None

    def _scraped(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            log = (self._folder / "prometheus.log").read_text(encoding="utf-8")
            raise PrometheusError(f"Prometheus did not start; its log ends:\n{log[-2000:]}")
        try:
            found = self.targets()
        except (OSError, PrometheusError):  # it does not listen yet, or is not ready
            return False
        return len(found) == self._expected and all(one["health"] != "unknown" for one in found)

    def _configure(self, scrape: Mapping[str, Sequence[str]], rules: Sequence[Path]) -> None:
        seconds = f"{SCRAPE_SECONDS}s"
        configuration = {
            "global": {
                "scrape_interval": seconds,
                "scrape_timeout": seconds,
                "evaluation_interval": seconds,
            },
            "rule_files": [str(path.absolute()) for path in rules],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [_target(job, address) for address in addresses],
                }
                for job, addresses in scrape.items()
            ],
        }
        path = self._folder / "prometheus.yaml"
        path.write_text(yaml.safe_dump(configuration), encoding="utf-8")


def _target(job: str, address: str) -> dict[str, Any]:
    pod, _, host = address.rpartition("@")
    labels = {"namespace": NAMESPACE, "pod": pod or host, "container": job}
    return {"targets": [host], "labels": labels}
