"""What the charts give to Prometheus and Grafana: PodMonitors and dashboards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import KAFKA, OURS, pick, render, template

pytestmark = pytest.mark.kubernetes

DASHBOARDS = sorted(Path(OURS, "dashboards").glob("*.json"))
ON: dict[str, Any] = {"enabled": True, "labels": {"release": "prometheus"}, "interval": "5s"}


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [o for o in objects if o["kind"] == kind]


def test_without_being_asked_for_there_are_no_resources_of_the_prometheus_operator() -> None:
    for chart in (OURS, KAFKA):
        objects = render(chart)
        assert not [o for o in objects if o["apiVersion"].startswith("monitoring.coreos.com")]


@pytest.mark.parametrize("component", ["detector", "generator", "operator"])
def test_the_pods_of_each_service_are_read_at_their_status_port(component: str) -> None:
    objects = render(OURS, release="two", podMonitors=ON, generator={"enabled": True})
    monitor = pick(objects, "PodMonitor", f"two-{component}")
    (pod,) = [
        o["spec"]["template"]
        for o in objects
        if o["kind"] in {"Deployment", "StatefulSet"}
        and o["metadata"]["name"] == f"two-{component}"
    ]
    assert monitor["metadata"]["labels"].items() >= {"release": "prometheus"}.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "status", "interval": "5s"}
    # The label by which the dashboards tell our processes from others.
    (container,) = pod["spec"]["containers"]
    assert container["name"] == component
    assert "status" in [port["name"] for port in container["ports"]]


def test_without_a_generator_none_is_read() -> None:
    objects = render(OURS, podMonitors=ON)
    assert len(of_kind(objects, "PodMonitor")) == 2


def test_prometheus_is_let_in_to_all_that_it_reads() -> None:
    objects = render(OURS, podMonitors=ON)
    let_in = [
        policy["spec"]["podSelector"]["matchLabels"]
        for policy in of_kind(objects, "NetworkPolicy")
        if any("namespaceSelector" in str(rule) for rule in policy["spec"]["ingress"])
    ]
    for monitor in of_kind(objects, "PodMonitor"):
        assert monitor["spec"]["selector"]["matchLabels"] in let_in


def test_kafkas_nodes_are_read_where_strimzi_has_their_metrics() -> None:
    monitor = pick(render(KAFKA, clusterName="payments", podMonitor=ON), "PodMonitor")
    assert monitor["spec"] == {
        "selector": {"matchLabels": {"strimzi.io/cluster": "payments", "strimzi.io/kind": "Kafka"}},
        "podMetricsEndpoints": [{"port": "tcp-prometheus", "interval": "5s"}],
    }
    assert monitor["metadata"]["labels"].items() >= {"release": "prometheus"}.items()


@pytest.mark.parametrize("interval", ["15", "0s", "often"])
def test_an_interval_that_is_none_is_refused(interval: str) -> None:
    for chart, name in ((OURS, "podMonitors"), (KAFKA, "podMonitor")):
        values: dict[str, Any] = {name: ON | {"interval": interval}}
        done = template(chart, **values)
        assert done.returncode
        assert "interval" in done.stderr


def test_each_dashboard_is_in_a_config_map_that_grafana_looks_for() -> None:
    found: dict[str, str] = {}
    for config_map in of_kind(render(OURS), "ConfigMap"):
        if config_map["metadata"]["labels"].get("grafana_dashboard") == "1":
            found |= config_map["data"]
    assert found == {path.name: path.read_text("utf-8") for path in DASHBOARDS}
    assert len(found) == 4
    assert not of_kind(render(OURS, dashboards={"enabled": False}), "ConfigMap")
