"""Two operators of one namespace, on a real API server: one writes, the other waits and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operator.lease import NAME
from tests.charts.rendering import OURS, pick, render
from tests.operator.system import Operated, rule
from tests.support.streaming import Service, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

READS = {"get", "list", "watch"}
ROLES = ("Role", "RoleBinding")


def other_operator(system: Operated, folder: Path) -> Service:
    """An operator of the same rules that has another threshold, and so another ruleset's hash."""
    role, binding = (pick(render(OURS, namespace=system.namespace), k) for k in ROLES)
    binding["subjects"][0]["name"] = "other"
    kubeconfig = system.server.account(system.namespace, "other")
    system.apply(role, binding)
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "OPERATOR_NAMESPACE": system.namespace,
        "SCORE_THRESHOLD": "50",
    }
    return Service("operator", environment, folder / "other.log")


def test_a_second_operator_writes_nothing_until_the_first_is_gone(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """Takes 25 s: a Lease whose holder was killed expires after 15 s."""
    with Operated(api_server, tmp_path) as system, other_operator(system, tmp_path) as other:
        until(lambda: other.lines("Lease acquired") or other.lines("nothing is written"), "asked")
        first, second = system.operator, other
        if other.lines("Lease acquired"):
            first, second = second, first
        system.apply(rule())
        system.until_condition("high-amount", "Ready", "True")
        until(lambda: second.lines("nothing is written"), "the second waits")
        system.apply(rule(limit=800.0))
        system.until_condition("high-amount", "Ready", "True")
        code, reason = second.get("/readyz")
        assert code == 503
        assert "another operator, " in reason
        assert "holds the Lease" in reason
        assert second.get("/livez")[0] == 200
        assert second.lines("nothing is written")[0]["level"] == "warning"
        if second is other:
            assert {event["verb"] for event in by_other(system)} <= READS
        published = system.published()["metadata"]["hash"]

        assert first.stop() == 0
        until(lambda: system.published()["metadata"]["hash"] != published, "the second goes on")
        assert second.get("/readyz")[0] == 200

        second.kill()
        first.start()
        until(lambda: system.published()["metadata"]["hash"] == published, "the Lease expired")


def by_other(system: Operated) -> list[dict[str, Any]]:
    """What the other operator did, beside asking for the Lease."""
    return [
        event
        for event in system.server.audit(f":{system.namespace}:other", system.namespace)
        if event["objectRef"].get("name") != NAME
    ]
