"""The NetworkPolicies of our chart, read as a table of who reaches whom.

The network of the tests' node enforces none.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.rendering import OURS, pick, render
from tests.charts.workloads import COMPONENT, EVERYTHING, workloads

pytestmark = pytest.mark.kubernetes


def test_who_may_reach_whom() -> None:
    assert allowed(**EVERYTHING) == {
        ("detector", "monitoring operator console", "status"),
        ("operator", "monitoring", "status"),
        ("operator", "anyone", "webhook"),
        ("generator", "monitoring", "status"),
    }


def test_metrics_from_nowhere_let_nobody_in() -> None:
    nowhere = {"metricsFrom": {"kubernetes.io/metadata.name": None}}
    assert allowed(networkPolicy=nowhere, **EVERYTHING) == {
        ("detector", "operator console", "status"),
        ("operator", "anyone", "webhook"),
    }


def test_the_console_is_reached_by_those_that_are_named_alone() -> None:
    proxy = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "proxy"}}}
    found = allowed(networkPolicy={"consoleFrom": [proxy]}, **EVERYTHING)
    assert {rule for rule in found if rule[0] == "console"} == {("console", "proxy", "status")}


def allowed(**values: Any) -> set[tuple[str, str, str]]:
    """Who lets in whom at which port, by the NetworkPolicies; each selects pods that there are."""
    objects = render(OURS, **values)
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    components = {policy["metadata"]["labels"][COMPONENT] for policy in policies}
    assert components == {*workloads(**values), "test"}
    return {
        (policy["metadata"]["labels"][COMPONENT], source(rule), port["port"])
        for policy in policies
        for rule in policy["spec"]["ingress"]
        for port in rule["ports"]
    }


def test_the_test_may_reach_kafka_and_the_names_and_nobody_may_reach_it() -> None:
    policy = pick(render(OURS), "NetworkPolicy", "fraud-detection-test")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    brokers, names = policy["egress"]
    labels = {"strimzi.io/cluster": "kafka", "strimzi.io/kind": "Kafka"}
    assert brokers["to"] == [{"podSelector": {"matchLabels": labels}}]
    assert brokers["ports"] == [{"port": 9093}]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} >= {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert "to" not in names
    elsewhere = {"kafka": {"bootstrapServers": "broker.example:9092", "cluster": ""}}
    policy = pick(render(OURS, **elsewhere), "NetworkPolicy", "fraud-detection-test")["spec"]
    assert policy["egress"] == [{}]


def source(rule: dict[str, Any]) -> str:
    """Who a rule of a NetworkPolicy lets in, in words."""
    names = []
    for peer in rule.get("from", ()):
        space = peer.get("namespaceSelector", {}).get("matchLabels", {})
        pods = peer.get("podSelector", {}).get("matchLabels", {})
        names.append(
            space.get("kubernetes.io/metadata.name") or pods["app.kubernetes.io/component"]
        )
    return " ".join(names) or "anyone"
