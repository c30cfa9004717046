"""Both charts on a real node: installed with Helm, the pods judge what a real broker has.

The broker is that of the stand-in for Strimzi: TLS, certificates and rights as the resources ask.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition

from tests.charts.strimzi import install_crds
from tests.cluster.conftest import Image, say
from tests.cluster.newer import FIELD, Newer, fields, newer
from tests.cluster.release import NAMESPACE, Release, Watch, run_helm
from tests.end_to_end.verdicts import problems
from tests.strimzi.stand_in import StandIn
from tests.support.streaming import read_all, until
from tools.demo.tally import ends
from tools.local_kubernetes import ControlPlaneError
from tools.local_kubernetes.node import NAME as NODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.local_kafka import Broker
    from tools.local_kubernetes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

INPUT = "queueing.transactions"
OUTPUTS = [f"streaming.transactions.{name}" for name in ("legit", "fraud", "dead-letters")]
GROUP = "fraud-detector"
CLUSTER = "charts/kafka-cluster"
DETECTOR = "deployment/fraud-detector"
GENERATOR = "deployment/fraud-generator"
DEFINITION = "customresourcedefinition/fraudrules.frauddetection.io"
DETECTORS = 3
ON_ALL = f"{DETECTORS}/{DETECTORS}"
EDITS = 50
# kubelet looks at mounted Secrets about once a minute, should it not be made to.
RENEWAL_SECONDS = 400.0
# Longer than the broker waits for a detector that is away.
JUDGED_SECONDS = 300.0
IMAGES = ".spec.containers[0].image"
# Four detectors have to fit on two cores beside the broker.
RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
RULE = """
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {{name: {name}}}
spec:
  expression: {expression}
"""
SMALL = RULE.format(name="small", expression="transaction.amount < 500.0")
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


@pytest.fixture(scope="module")
def strimzi(node: Node) -> Iterator[StandIn]:
    """The chart of the Kafka cluster, and what Strimzi would make of it."""
    node.kubectl("create", "namespace", NAMESPACE)
    node.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    install_crds(node)
    run_helm(node, "install", "kafka", CLUSTER, f"--values={CLUSTER}/values-dev.yaml")
    with StandIn(node, NAMESPACE, address=node.network.host) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def broker(strimzi: StandIn) -> Broker:
    """The broker, for who looks from outside."""
    return strimzi.broker


@pytest.fixture(scope="module")
def release(node: Node, image: Image, strimzi: StandIn) -> Iterator[Release]:
    """The chart of everything of ours, installed and running, with a rule in force."""
    assert strimzi.broker.pid
    release = Release(node, image.name)
    with release.told_of_pods():
        release.install(
            **{
                "detector.replicas": DETECTORS,
                "detector.resources": RESOURCES,
                "generator.enabled": True,
                "generator.transactionsPerSecond": "1000",
            }
        )
        release.rolled_out()
        release.apply(SMALL)
        until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors")
    yield release
    release.uninstall()


@pytest.fixture(scope="module")
def later(node: Node, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Newer:
    """A later version of the chart, and its image on the node."""
    assert image.name
    return newer(node, tmp_path_factory.mktemp("newer"))


@contextmanager
def each_judged_once(release: Release, broker: Broker) -> Iterator[None]:
    """Let transactions flow while a block runs; in the end each there is has one verdict."""
    with release.told_of_pods():
        begun = sum(ends(broker.bootstrap, [INPUT]).values())
        release.kubectl("scale", GENERATOR, "--replicas=1")
        release.rolled_out(GENERATOR)
        yield
        release.kubectl("scale", GENERATOR, "--replicas=0")
        until(lambda: not release.pods("generator"), "the generator has stopped")
        all_so_far_is_judged(broker)
        written = read_all(broker, [INPUT])
        assert len(written) - begun > 1000
        assert problems(written, read_all(broker, OUTPUTS)) == []


def all_so_far_is_judged(broker: Broker) -> None:
    """Wait until the detectors have committed what is in the input by now."""
    reach = ends(broker.bootstrap, [INPUT])
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": GROUP})
    places = [TopicPartition(topic, partition) for topic, partition in reach]

    def done() -> bool:
        committed = consumer.committed(places, timeout=60)
        return all(each.offset >= reach[each.topic, each.partition] for each in committed)

    until(done, "all is judged", JUDGED_SECONDS)
    consumer.close()


def test_rules_that_are_applied_decide_within_seconds(
    release: Release, broker: Broker, request: pytest.FixtureRequest
) -> None:
    line = "{.metadata.name} {.metadata.generation} {.status.activeGeneration} {.status.applied}"
    watch = Watch(release, "fraudrules", "-o", f'jsonpath={line}{{"\\n"}}')
    with release.told_of_pods():
        until(lambda: len(read_all(broker, [OUTPUTS[1]])) > 50, "frauds")
        pods = release.look("detector", ".status.containerStatuses[0].restartCount")
        whole, after = [], []
        with watch.running():
            generation = release.apply(SMALL)
            watch.until(f"small {generation} {generation} {ON_ALL}")
            for n in range(EDITS):
                begun = time.monotonic()
                generation = release.apply(SMALL.replace("500.0", f"{100 + n}.0"))
                applied = time.monotonic()
                live = watch.until(f"small {generation} {generation} {ON_ALL}")
                whole.append(live - begun)
                after.append(max(0.0, live - applied))
        assert ["small", "True", ON_ALL] in [
            [row.split()[column] for column in (0, 3, 4)]
            for row in release.kubectl("get", "fraudrules").splitlines()[1:]
        ]
        assert pods == dict.fromkeys(pods, "0")
        assert release.look("detector", ".status.containerStatuses[0].restartCount") == pods
    say(
        request,
        f"{EDITS} edits, kubectl apply to {ON_ALL}: {_spread(whole)}; from kubectl's end on: "
        f"{_spread(after)}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors",
    )


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2]:.2f} s, most {ordered[-1]:.2f} s"


def test_a_rule_with_windows_is_warmed_up_and_applied(release: Release) -> None:
    with release.told_of_pods():
        release.apply(WINDOW)
        until(lambda: release.applied("many", ON_ALL), "the rule is on all detectors")
        conditions = {c["type"]: c["status"] for c in release.rule("many")["status"]["conditions"]}
        assert conditions == {"Ready": "True", "Applied": "True", "Exact": "True"}


def test_a_bad_rule_is_refused_by_the_webhook_with_the_mend(release: Release) -> None:
    with pytest.raises(ControlPlaneError, match=r"write 5\.0"):
        release.apply(RULE.format(name="bad", expression="transaction.amount < 5"))


def has_renewed(release: Release, pod: str) -> bool:
    """Whether a pod says that it has renewed its certificates."""
    return "certificates renewed" in release.kubectl("logs", pod)


def test_certificates_that_are_renewed_are_taken_up_without_a_restart(
    release: Release, strimzi: StandIn
) -> None:
    users = ("detector", "generator")
    with release.told_of_pods():
        pods = {user: release.look(user, ".metadata.name") for user in users}
        for user in users:
            strimzi.renew(user)
        names = [f"pod/{name}" for found in pods.values() for name in found.values()]
        # It makes kubelet look at once, which saves the test a minute.
        release.kubectl("annotate", *names, "touched=1")
        for name in names:
            until(partial(has_renewed, release, name), f"{name} has renewed", RENEWAL_SECONDS)
        assert {user: release.look(user, ".metadata.name") for user in users} == pods


def test_each_transaction_has_one_verdict_whatever_happens_to_the_pods(
    release: Release, broker: Broker
) -> None:
    with each_judged_once(release, broker):
        for replicas in (1, 4, 2):
            release.kubectl("scale", DETECTOR, f"--replicas={replicas}")
            release.rolled_out(DETECTOR)
        for component in ("detector", "operator"):
            for pod in release.pods(component):
                release.kubectl("delete", pod, "--force", "--grace-period=0", "--ignore-not-found")
        release.rolled_out()
        # A changed pod: one detector after the other is replaced.
        release.install(**{"detector.logLevel": "debug"})
        release.rolled_out()
        until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors")


def test_the_kind_of_the_detectors_is_switched_and_switched_back(
    release: Release, broker: Broker
) -> None:
    with each_judged_once(release, broker):
        for kind in ("StatefulSet", "Deployment"):
            release.install(**{"detector.kind": kind})
            release.rolled_out(f"{kind.lower()}/fraud-detector")
            workloads = ("deployments,statefulsets", "-l", "app.kubernetes.io/component=detector")
            kinds = ("get", *workloads, "-o=jsonpath={.items[*].kind}")
            until(lambda: release.kubectl(*kinds) == kind, f"a {kind} is all there is")  # noqa: B023 - called at once
            until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors")


def test_a_drain_takes_one_detector_and_the_others_judge_its_share(
    release: Release, broker: Broker
) -> None:
    """There is no other node for its pod, so the budget holds the drain up until it is given up."""
    with each_judged_once(release, broker):
        before = release.look("detector", ".status.phase")
        # Who writes transactions is not on the node.
        ours = "app.kubernetes.io/component in (detector,operator)"
        drain = ("drain", NODE, f"--pod-selector={ours}", "--delete-emptydir-data")
        try:
            with pytest.raises(ControlPlaneError, match="disruption budget"):
                release.kubectl(*drain, "--timeout=12s")
            after = release.look("detector", ".status.phase")
            assert [after.pop(uid, "gone") for uid in before].count("gone") == 1
            assert list(after.values()) == ["Pending"]
            assert list(release.look("operator", ".status.phase").values()) == ["Pending"]
            all_so_far_is_judged(broker)
        finally:
            release.kubectl("uncordon", NODE)
        release.rolled_out()
        until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors")


def test_image_and_resource_are_upgraded_and_rolled_back_under_the_rules(
    release: Release, broker: Broker, image: Image, later: Newer
) -> None:
    kept = ("uid", "generation", "creationTimestamp")
    with each_judged_once(release, broker):
        before = release.rule("small")
        release.upgrade(later.chart, later.image)
        release.rolled_out()
        until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors again")
        assert_release_is(release, later.image, has_field=True)
        upgraded = release.rule("small")
        assert [upgraded["metadata"][key] for key in kept] == [
            before["metadata"][key] for key in kept
        ]
        assert upgraded["spec"] == before["spec"]
        # The field is one of the resource and of the services.
        release.apply(f"{SMALL}  {FIELD}: alice\n")
        until(lambda: release.applied("small", ON_ALL), "the rule with the field is on all")
        assert release.rule("small")["spec"][FIELD] == "alice"

        release.rollback()
        release.rolled_out()
        until(lambda: release.applied("small", ON_ALL), "the rule is on all detectors again")
        assert_release_is(release, image.name, has_field=False)
        assert FIELD not in release.rule("small")["spec"]
        assert release.rule("small")["metadata"]["uid"] == before["metadata"]["uid"]


def _all_have(release: Release, component: str, image: str) -> bool:
    return set(release.look(component, IMAGES).values()) == {image}


def assert_release_is(release: Release, image: str, *, has_field: bool) -> None:
    """Hold pods and resource to a version."""
    for component in ("detector", "operator", "generator"):
        # A rollout has ended before the last of the pods that it replaced has.
        have = partial(_all_have, release, component, image)
        until(have, f"all pods of {component} have {image}")
    definition = yaml.safe_load(release.kubectl("get", DEFINITION, "-o", "yaml"))
    assert (FIELD in fields(definition)) is has_field


def test_what_is_uninstalled_leaves_the_resource_and_the_rules(release: Release) -> None:
    spec = release.rule("small")["spec"]
    release.uninstall()
    until(
        lambda: not release.kubectl("get", "deployments,statefulsets,pods", "-o", "name"),
        "all that runs is gone",
    )
    until(
        lambda: "fraud-" not in release.kubectl("get", "configmaps", "-o", "name"),
        "the operator's ConfigMaps are gone",
    )
    assert release.kubectl("get", DEFINITION, "-o", "name")
    assert release.rule("small")["spec"] == spec
