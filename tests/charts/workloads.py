"""The pods of our chart, as Helm renders them, by component."""

from __future__ import annotations

from typing import Any

from tests.charts.rendering import OURS, pick, render

WORKLOADS = {"Deployment", "StatefulSet"}
COMPONENT = "app.kubernetes.io/component"


def workloads(**values: Any) -> dict[str, dict[str, Any]]:
    """The workloads by their component."""
    return {
        o["metadata"]["labels"]["app.kubernetes.io/component"]: o
        for o in render(OURS, **values)
        if o["kind"] in WORKLOADS
    }


def container(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]["containers"][0]
    return found


EVERYTHING: dict[str, Any] = {"console": {"enabled": True}, "generator": {"enabled": True}}


def pod_specs(**values: Any) -> dict[str, dict[str, Any]]:
    """The specs of all pods by their component."""
    found = {
        name: workload["spec"]["template"]["spec"] for name, workload in workloads(**values).items()
    }
    return found | {"test": pick(render(OURS, **values), "Pod")["spec"]}
