"""The detectors as a Deployment and as a StatefulSet, and what scales them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.charts.matrix import values_of
from tests.charts.rendering import OURS, helm, pick, render
from tests.charts.workloads import COMPONENT, WORKLOADS, container, workloads

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

VALUES = values_of(OURS)


def test_autoscaling_leaves_the_number_to_the_scaler() -> None:
    for by in ("cpu", "keda"):
        values = {"detector": {"autoscaling": {"by": by}}}
        assert "replicas" not in workloads(**values)["detector"]["spec"]
    assert workloads()["detector"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("kind", sorted(WORKLOADS))
@pytest.mark.parametrize("by", ["cpu", "keda"])
def test_autoscaling_that_is_switched_on_keeps_the_number_of_detectors(
    by: str, kind: str, all_kinds: ApiServer, namespace: str
) -> None:
    there = (f"--namespace={namespace}", f"--kubeconfig={all_kinds.kubeconfig}")
    # Nothing of the cluster, which other tests share.
    off = ("operator.webhook.enabled", "rbac.aggregate", "crd.install")
    given = (*(f"--set={switch}=false" for switch in off), f"--set=detector.kind={kind}")
    upgrade = ("upgrade", "--install", "fraud", OURS, *there, *given)
    detector = ("--namespace", namespace, "get", f"{kind.lower()}/fraud-detector")

    def number() -> str:
        return all_kinds.kubectl(*detector, "--output=jsonpath={.spec.replicas}")

    assert helm(*upgrade, "--set=detector.replicas=3").returncode == 0
    assert number() == "3"
    done = helm(*upgrade, f"--set=detector.autoscaling.by={by}")
    assert done.returncode == 0, done.stderr
    assert number() == "3"
    all_kinds.kubectl("--namespace", namespace, "scale", detector[-1], "--replicas=4")
    done = helm(*upgrade, f"--set=detector.autoscaling.by={by},detector.logLevel=debug")
    assert (done.returncode, number()) == (0, "4"), done.stderr
    other = (WORKLOADS - {kind}).pop()
    done = helm(*upgrade, f"--set=detector.autoscaling.by={by},detector.kind={other}")
    assert done.returncode == 0, done.stderr
    workload = ("get", "deployments,statefulsets", "-l", f"{COMPONENT}=detector")
    shown = "--output=jsonpath={.items[*]['kind','spec.replicas']}"
    assert all_kinds.kubectl("--namespace", namespace, *workload, shown) == f"{other} 4"


def test_keda_scales_by_the_lag_of_the_group_with_the_detectors_identity() -> None:
    objects = render(OURS, detector={"autoscaling": {"by": "keda", "maxReplicas": 6}})
    scaled = pick(objects, "ScaledObject")["spec"]
    trigger = scaled["triggers"][0]
    assert scaled["maxReplicaCount"] == 6
    assert scaled["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert scaled["scaleTargetRef"]["kind"] == "Deployment"
    assert trigger["metadata"]["consumerGroup"] == VALUES["detector"]["consumerGroup"]
    assert trigger["metadata"]["tls"] == "enable"
    secrets = pick(objects, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {s["parameter"]: s["name"] for s in secrets} == {
        "ca": "kafka-cluster-ca-cert",
        "cert": "detector",
        "key": "detector",
    }


def test_what_keda_reads_is_text_with_whole_numbers() -> None:
    changed = {"autoscaling": {"by": "keda", "lagPerReplica": 5_000_000}, "consumerGroup": "on"}
    elsewhere = {"bootstrapServers": "kafka:9092", "cluster": ""}
    trigger = pick(render(OURS, detector=changed, kafka=elsewhere), "ScaledObject")["spec"][
        "triggers"
    ][0]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["metadata"]["lagThreshold"] == "5000000"
    assert "tls" not in trigger["metadata"]
    assert "authenticationRef" not in trigger


@pytest.mark.parametrize("by", ["cpu", "keda"])
@pytest.mark.parametrize("kind", sorted(WORKLOADS))
def test_what_scales_has_the_kind_of_the_detectors(kind: str, by: str) -> None:
    objects = render(OURS, detector={"kind": kind, "autoscaling": {"by": by}})
    (scaler,) = [o for o in objects if "scaleTargetRef" in o.get("spec", {})]
    target = scaler["spec"]["scaleTargetRef"]
    found = pick(objects, target["kind"], target["name"])
    assert (found["kind"], found["apiVersion"]) == (kind, target["apiVersion"])


def test_a_deployment_of_detectors_has_no_fixed_members_and_is_replaced_by_surge() -> None:
    detector = workloads()["detector"]
    assert detector["kind"] == "Deployment"
    assert "INSTANCE_ID" not in {v["name"] for v in container(detector)["env"]}
    assert detector["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_a_stateful_set_of_detectors_has_members_by_the_names_of_its_pods() -> None:
    detector = workloads(detector={"kind": "StatefulSet"})["detector"]
    (instance,) = [v for v in container(detector)["env"] if v["name"] == "INSTANCE_ID"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert detector["spec"]["serviceName"] == detector["metadata"]["name"]
    assert "strategy" not in detector["spec"]


def test_the_kind_changes_the_workload_of_the_detectors_alone() -> None:
    both = [render(OURS, detector={"kind": kind}) for kind in ("Deployment", "StatefulSet")]
    name = "fraud-detection-detector"
    rest = [[o for o in objects if o["kind"] not in WORKLOADS] for objects in both]
    assert rest[0] == rest[1]
    assert pick(both[0], "PodDisruptionBudget", name)["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": workloads()["detector"]["spec"]["selector"]["matchLabels"]},
    }
