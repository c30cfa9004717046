"""The chart of everything of ours as a release on a node, and what is asked of it."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.charts.rendering import OURS, helm
from tests.support.streaming import WAIT_SECONDS
from tools.local_kubernetes import ControlPlaneError, program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.local_kubernetes import Node

NAMESPACE = "fraud"
WORKLOADS = (
    "deployment/fraud-operator",
    "deployment/fraud-detector",
    "deployment/fraud-generator",
)
_NAME = "fraud"


class Release:
    """The chart installed in a namespace of its own, under restricted Pod Security."""

    def __init__(self, node: Node, image: str) -> None:
        self.node = node
        self._values: dict[str, Any] = {"image": _image(image)}

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.node.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def install(self, **values: Any) -> None:
        """Install or upgrade, with values by their dotted names added to those of before."""
        self._values |= values
        self.upgrade(OURS)

    def upgrade(self, chart: str, image: str = "") -> None:
        """Install or upgrade to a chart's folder, and to another image where one is given."""
        values = self._values | ({"image": _image(image)} if image else {})
        given = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
        run_helm(self.node, "upgrade", "--install", _NAME, chart, *given)

    def rollback(self) -> None:
        """Have Helm go back to the revision before."""
        run_helm(self.node, "rollback", _NAME)

    def uninstall(self) -> None:
        """Have Helm remove all that the release has; none there is no error."""
        run_helm(self.node, "uninstall", _NAME, "--wait", "--ignore-not-found")

    def rolled_out(self, *workloads: str) -> None:
        """Wait until workloads, or all of them, are as they are to be."""
        for workload in workloads or WORKLOADS:
            self.kubectl("rollout", "status", workload, "--timeout=600s")

    def apply(self, rule: str) -> int:
        """Apply a FraudRule, and give its generation."""
        path = "-o=jsonpath={.metadata.generation}"
        return int(self.kubectl("apply", "-f", "-", path, stdin=rule))

    def rule(self, name: str) -> dict[str, Any]:
        """A FraudRule as it is."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "fraudrule", name, "-o", "json"))
        return found

    def applied(self, name: str, on: str) -> bool:
        """Whether a rule is in force on so many detectors, as in 2/2."""
        rule = self.rule(name)
        status = rule.get("status", {})
        current = status.get("activeGeneration") == rule["metadata"]["generation"]
        return bool(current and status.get("applied") == on)

    def pods(self, component: str) -> list[str]:
        """The names of a component's pods."""
        return self.kubectl("get", "pods", "-l", _label(component), "-o", "name").split()

    def look(self, component: str, path: str) -> dict[str, str]:
        """What a JSON path gives of each pod of a component, by the pod's uid."""
        path = f'jsonpath={{range .items[*]}}{{.metadata.uid}} {{{path}}}{{"\\n"}}{{end}}'
        found = self.kubectl("get", "pods", "-l", _label(component), "-o", path)
        return {
            uid: value for uid, _, value in (line.partition(" ") for line in found.splitlines())
        }

    @contextmanager
    def told_of_pods(self) -> Iterator[None]:
        """Add what the pods say to what went wrong in a block."""
        try:
            yield
        except (AssertionError, ControlPlaneError) as error:
            events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")[-3000:]
            pods = self.kubectl("get", "pods", "-o", "wide")
            logs = "".join(
                self.kubectl("logs", pod, "--tail=8", "--ignore-errors")
                for component in ("operator", "detector", "generator")
                for pod in self.pods(component)
            )
            raise AssertionError(f"{error}\n{pods}\n{events}\n{logs}") from error


class Watch:
    """Lines that a `kubectl get --watch` prints, each with the time at which it came.

    Args:
        release: whose namespace is watched.
        arguments: what to get, and how to print it.

    """

    def __init__(self, release: Release, *arguments: str) -> None:
        node = release.node
        kubectl = [str(program("kubectl")), f"--kubeconfig={node.kubeconfig}", "-n", NAMESPACE]
        self._command = [*kubectl, "get", "--watch", *arguments]
        self._environment = {"HOME": str(node.folder)}
        self._lines: queue.Queue[tuple[float, str]] = queue.Queue()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch during a block."""
        with subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, env=self._environment
        ) as process:
            reader = threading.Thread(target=self._read, args=(process,))
            reader.start()
            try:
                yield
            finally:
                process.kill()
                reader.join()

    def until(self, wanted: str) -> float:
        """Wait for a line, and give the time (monotonic, in seconds) at which it came."""
        deadline = time.monotonic() + WAIT_SECONDS
        line = "nothing"
        while True:
            try:
                at, line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {wanted!r} came; the last was {line!r}") from None
            if line == wanted:
                return at

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put((time.monotonic(), line.strip()))


def run_helm(node: Node, *arguments: str) -> None:
    """Have Helm do something in the namespace."""
    done = helm(*arguments, f"--namespace={NAMESPACE}", f"--kubeconfig={node.kubeconfig}")
    assert done.returncode == 0, done.stderr


def _image(name: str) -> dict[str, str]:
    repository, tag = name.split(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "Never"}


def _label(component: str) -> str:
    return f"app.kubernetes.io/component={component}"
