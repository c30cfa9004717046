"""Both charts on a real node: installed with Helm, the pods judge what a real broker has.

The broker is that of the stand-in for Strimzi: TLS, certificates and rights as the resources ask.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from services.local_kubernetes import ControlPlaneError
from tests.charts.rendering import OURS, helm
from tests.charts.strimzi import install_crds
from tests.cluster.conftest import Image, say
from tests.end_to_end.verdicts import problems
from tests.streaming import read_all, until
from tests.strimzi.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.local_kafka import Broker
    from services.local_kubernetes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

NAMESPACE = "fraud"
INPUT = "queueing.transactions"
OUTPUTS = [f"streaming.transactions.{name}" for name in ("legit", "fraud", "dead-letters")]
CLUSTER = "charts/kafka-cluster"
# kubelet looks at mounted Secrets about once a minute.
RENEWAL_SECONDS = 180.0
EDITS = 20
# Four of them have to fit on two cores beside the broker.
RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
RULE = """
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {{name: {name}}}
spec:
  expression: {expression}
  mode: {mode}
"""
WINDOW = """
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {name: many}
spec:
  mode: Shadow
  aggregates:
  - {name: payments, function: Count, groupBy: source, window: 10m}
  expression: payments >= 1
"""


class Release:
    """The chart installed in a namespace of its own, under restricted Pod Security."""

    def __init__(self, node: Node, image: Image) -> None:
        self.node = node
        self._image = image
        self._values: dict[str, Any] = {}

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.node.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def install(self, **values: Any) -> None:
        """Install or upgrade, with values by their dotted names added to those of before."""
        repository, tag = self._image.name.split(":")
        own = {"repository": repository, "tag": tag, "pullPolicy": "Never"}
        self._values |= {"image": own, **values}
        given = [f"--set-json={name}={json.dumps(value)}" for name, value in self._values.items()]
        install(self.node, "fraud", OURS, *given)

    def rolled_out(self, what: str) -> None:
        """Wait until a workload is as it is to be."""
        self.kubectl("rollout", "status", what, "--timeout=180s")

    def apply(self, rule: str) -> None:
        """Apply a FraudRule."""
        self.kubectl("apply", "-f", "-", stdin=rule)

    def applied(self, name: str, on: str) -> bool:
        """Whether a rule is in force on so many detectors, as in 2/2."""
        rule = json.loads(self.kubectl("get", "fraudrule", name, "-o", "json"))
        status = rule.get("status", {})
        current = status.get("activeGeneration") == rule["metadata"]["generation"]
        return bool(current and status.get("applied") == on)

    def pods(self, component: str) -> list[str]:
        """The names of a component's pods."""
        label = f"app.kubernetes.io/component={component}"
        return self.kubectl("get", "pods", "-l", label, "-o", "name").split()


def install(node: Node, name: str, chart: str, *arguments: str) -> None:
    """Have Helm install or upgrade a chart."""
    where = (f"--namespace={NAMESPACE}", f"--kubeconfig={node.kubeconfig}")
    done = helm("upgrade", "--install", name, chart, *where, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def strimzi(node: Node) -> Iterator[StandIn]:
    """The chart of the Kafka cluster, and what Strimzi would make of it."""
    node.kubectl("create", "namespace", NAMESPACE)
    node.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    install_crds(node)
    install(node, "kafka", CLUSTER, f"--values={CLUSTER}/values-dev.yaml")
    with StandIn(node, NAMESPACE, address=node.network.host) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def broker(strimzi: StandIn) -> Broker:
    """The broker, for who looks from outside."""
    return strimzi.broker


@pytest.fixture(scope="module")
def release(node: Node, image: Image, strimzi: StandIn) -> Iterator[Release]:
    """The chart of everything of ours, installed and running with two detectors."""
    assert strimzi.broker.pid
    release = Release(node, image)
    with told_of_pods(release):
        release.install(
            **{
                "detector.replicas": 2,
                "detector.resources": RESOURCES,
                "generator.transactionsPerSecond": "500",
            }
        )
        release.rolled_out("deployment/fraud-operator")
        release.rolled_out("statefulset/fraud-detector")
        release.rolled_out("deployment/fraud-generator")
    yield release
    kubeconfig = f"--kubeconfig={node.kubeconfig}"
    helm("uninstall", "fraud", f"--namespace={NAMESPACE}", kubeconfig, "--wait")


@contextmanager
def told_of_pods(release: Release) -> Iterator[None]:
    """Add what the pods say to what went wrong."""
    try:
        yield
    except (AssertionError, ControlPlaneError) as error:
        events = release.kubectl("get", "events", "--sort-by=.lastTimestamp")[-3000:]
        pods = release.kubectl("get", "pods", "-o", "wide")
        logs = "".join(
            release.kubectl("logs", pod, "--tail=8", "--ignore-errors")
            for component in ("operator", "detector", "generator")
            for pod in release.pods(component)
        )
        raise AssertionError(f"{error}\n{pods}\n{events}\n{logs}") from error


def test_rules_that_are_applied_decide_within_seconds(
    release: Release, broker: Broker, request: pytest.FixtureRequest
) -> None:
    with told_of_pods(release):
        rule = RULE.format(name="small", expression="transaction.amount < 500.0", mode="Enforce")
        release.apply(rule)
        until(lambda: release.applied("small", "2/2"), "the rule is on both detectors")
        until(lambda: len(read_all(broker, [OUTPUTS[1]])) > 50, "frauds")
        seconds = []
        for n in range(EDITS):
            edited = rule.replace("500.0", f"{100 + n}.0")
            begun = time.monotonic()
            release.apply(edited)
            until(lambda: release.applied("small", "2/2"), "the edit is on both detectors")
            seconds.append(time.monotonic() - begun)
    seconds.sort()
    # kubectl's own start, 0.1 s and more, is in both ends of it.
    say(
        request,
        f"kubectl apply to 2/2: median {seconds[EDITS // 2]:.2f} s, most {seconds[-1]:.2f} s",
    )


def test_a_rule_with_windows_is_warmed_up_and_applied(release: Release) -> None:
    with told_of_pods(release):
        release.apply(WINDOW)
        until(lambda: release.applied("many", "2/2"), "the rule is on both detectors")
        said = release.kubectl("get", "fraudrule", "many", "-o", "json")
        conditions = {c["type"]: c["status"] for c in json.loads(said)["status"]["conditions"]}
        assert conditions == {"Ready": "True", "Applied": "True", "Exact": "True"}


def test_a_bad_rule_is_refused_by_the_webhook_with_the_mend(release: Release) -> None:
    with pytest.raises(ControlPlaneError, match=r"write 5\.0"):
        release.apply(RULE.format(name="bad", expression="transaction.amount < 5", mode="Enforce"))


def has_renewed(release: Release, pod: str) -> bool:
    """Whether a pod says that it has renewed its certificates."""
    return "certificates renewed" in release.kubectl("logs", pod)


def test_certificates_that_are_renewed_are_taken_up_without_a_restart(
    release: Release, strimzi: StandIn
) -> None:
    with told_of_pods(release):
        pods = {user: release.pods(user) for user in ("detector", "generator")}
        for user in pods:
            strimzi.renew(user)
        for pod in [*pods["detector"], *pods["generator"]]:
            until(partial(has_renewed, release, pod), f"{pod} has renewed", RENEWAL_SECONDS)
        assert {user: release.pods(user) for user in pods} == pods


def test_each_transaction_has_one_verdict_whatever_happens_to_the_pods(
    release: Release, broker: Broker
) -> None:
    detector = "statefulset/fraud-detector"
    with told_of_pods(release):
        for replicas in (1, 4, 2):
            release.kubectl("scale", detector, f"--replicas={replicas}")
            release.rolled_out(detector)
        for component in ("detector", "operator"):
            for pod in release.pods(component):
                release.kubectl("delete", pod, "--force", "--grace-period=0", "--ignore-not-found")
        release.rolled_out(detector)
        release.rolled_out("deployment/fraud-operator")
        # A changed pod: one detector after the other is replaced.
        release.install(**{"detector.logLevel": "debug"})
        release.rolled_out(detector)
        until(lambda: release.applied("small", "2/2"), "the rule is on both detectors")
        release.kubectl("scale", "deployment/fraud-generator", "--replicas=0")
        until(lambda: not release.pods("generator"), "the generator has stopped")
        written = read_all(broker, [INPUT])
        until(lambda: len(read_all(broker, OUTPUTS)) >= len(written), "all is judged")
    assert len(written) > 1000
    assert problems(written, read_all(broker, OUTPUTS)) == []
