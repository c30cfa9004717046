"""Pods of the project's image, under the security settings that the chart gives them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.support.streaming import until
from tools.local_kubernetes import ControlPlaneError

if TYPE_CHECKING:
    from tools.local_kubernetes import Node

POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class Pods:
    """Pods in a namespace of their own, that asks for restricted Pod Security."""

    def __init__(self, node: Node, image: str, namespace: str) -> None:
        self.node, self._image, self.namespace = node, image, namespace
        self.kubectl("create", "namespace", namespace)
        level = "pod-security.kubernetes.io/enforce=restricted"
        self.kubectl("label", "namespace", namespace, level)
        until(self._accounts_are_there, "the namespace has its service account")

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.node.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def run(
        self,
        name: str,
        *,
        security: dict[str, Any] | None = None,
        volumes: list[dict[str, Any]] | None = None,
        **container: Any,
    ) -> None:
        """Make a pod with one container, which is not started again."""
        spec = {
            "name": "main",
            "image": self._image,
            "imagePullPolicy": "Never",
            "securityContext": CONTAINER_SECURITY,
            **container,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "securityContext": POD_SECURITY if security is None else security,
                "volumes": volumes or [],
                "containers": [spec],
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(pod))

    def shell(self, name: str) -> None:
        """Make a pod to run commands in, and wait until it is there."""
        self.run(name, command=["sleep", "infinity"])
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=180s")

    def execute(self, name: str, script: str) -> str:
        """Run a shell script in a pod, and give what it printed, errors too."""
        return self.kubectl("exec", name, "--", "sh", "-c", f"exec 2>&1; {script}")

    def log_with(self, name: str, words: str) -> str:
        """Wait until a pod's log has these words, and give the log."""
        until(lambda: words in self._log(name), f"{name} says {words!r}, and not {self._log(name)}")
        return self._log(name)

    def exit_code(self, name: str) -> int:
        """Wait until a pod has ended, and give the exit code."""
        path = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
        deadline = time.monotonic() + 180.0
        while not (code := self.kubectl("get", "pod", name, "-o", path)):
            assert time.monotonic() < deadline, f"{name} does not end"
            time.sleep(0.1)
        return int(code)

    def _log(self, name: str) -> str:
        try:
            return self.kubectl("logs", name)
        except ControlPlaneError:  # not started yet
            return ""

    def _accounts_are_there(self) -> bool:
        return "default" in self.kubectl("get", "serviceaccounts", "-o", "name")
