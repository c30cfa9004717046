"""The operator as a process beside a real API server, and detectors that it carries rules to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import yaml

from services.operator.lease import NAME as LEASE
from tests.operator.kubelet import Pods
from tests.support.manifests import fraud_rule
from tests.support.streaming import Service, until
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.kubernetes import ApiServer
    from tests.support.streaming import Topics
    from tools.local_kafka import Broker


def rule(name: str = "high-amount", limit: float = 900.0, **spec: Any) -> dict[str, Any]:
    """A FraudRule."""
    return fraud_rule(name, **{"expression": f"transaction.amount >= {limit!r}", **spec})


class Operated:
    """A namespace with an operator; detectors are added as a test needs them."""

    def __init__(
        self, server: ApiServer, folder: Path, kubeconfig: Path | None = None, **settings: str
    ) -> None:
        self.server, self.folder = server, folder
        self.namespace = server.new_namespace()
        self.pods = Pods(server.kubeconfig, self.namespace, folder / "mounts")
        self.detectors: dict[str, Service] = {}
        environment = {
            "KUBECONFIG": str(kubeconfig or server.kubeconfig),
            "OPERATOR_NAMESPACE": self.namespace,
            **settings,
        }
        self.operator = Service("operator", environment, folder / "operator.log")

    def __enter__(self) -> Self:
        self.pods.__enter__()
        self.operator.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.operator.kill()
        for detector in self.detectors.values():
            detector.kill()
        self.pods.__exit__()

    def kill_operator(self) -> None:
        """End the operator as a lost node does; the next need not wait until its Lease expires."""
        self.operator.kill()
        self.kubectl("delete", "lease", LEASE, "--ignore-not-found")

    def add_detector(self, name: str, broker: Broker, topics: Topics, **settings: str) -> Service:
        """Start a detector with a pod of this name."""
        (port,) = free_ports(1)
        path = self.pods.create(name, port)
        environment = {
            **topics.environment(broker),
            "RULES_PATH": str(path),
            "STATUS_PORT": str(port),
            "INSTANCE_ID": name,
            **settings,
        }
        detector = Service("detector", environment, self.folder / f"{name}.log")
        detector.start()
        self.detectors[name] = detector
        until(lambda: detector.lines("started"), f"{name} started")
        self.pods.run(name)
        return detector

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.server.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def apply(self, *rules: dict[str, Any]) -> None:
        """Apply rules with kubectl."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(rules))

    def get(self, name: str) -> dict[str, Any]:
        """A rule as the API has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "fraudrule", name, "-o", "json"))
        return found

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        """A rule's conditions that are about its newest generation, by type."""
        found = self.get(name)
        return {
            c["type"]: c
            for c in found.get("status", {}).get("conditions", ())
            if c["observedGeneration"] == found["metadata"]["generation"]
        }

    def until_condition(self, name: str, kind: str, status: str, reason: str = "") -> str:
        """Wait for a condition of a rule's newest generation, and return its message."""

        def found() -> dict[str, Any] | None:
            condition = self.conditions(name).get(kind, {})
            fits = condition.get("status") == status and reason in {"", condition.get("reason")}
            return condition if fits else None

        condition = until(found, f"{kind} of {name} is {status} {reason}")
        assert condition is not None
        return str(condition["message"])

    def published(self) -> dict[str, Any]:
        """The document that detectors mount."""
        return self._document("fraud-detection-rules", "ruleset.json")

    def reports(self) -> dict[str, Any]:
        """What the operator tells of the detectors."""
        return self._document("fraud-detection-detectors", "detectors.json")

    def until_published(self, fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait for a document that fits, and return it."""
        return until(lambda: d if fits(d := self.published()) else {}, what)

    def all_rules(self) -> list[dict[str, Any]]:
        """All rules, as the API has them."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "fraudrules", "-o", "json"))[
            "items"
        ]
        return found

    @property
    def rules_path(self) -> str:
        """The path of the rules in the API."""
        return f"/apis/frauddetection.io/v1alpha1/namespaces/{self.namespace}/fraudrules"

    def all_events(self) -> list[dict[str, Any]]:
        """The Events about all rules."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "events", "-o", "json"))[
            "items"
        ]
        return found

    def _document(self, config_map: str, key: str) -> dict[str, Any]:
        text = self.kubectl("get", "configmap", config_map, "-o", "json", "--ignore-not-found")
        document: dict[str, Any] = json.loads(json.loads(text)["data"][key]) if text else {}
        return document
