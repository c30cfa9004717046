"""`fraud rules get` for someone who may only read a namespace, on a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from services.telemetry import StatusServer
from tests.charts.rendering import OURS, render
from tests.operator.system import Operated, rule
from tests.support.streaming import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes


@pytest.fixture
def system(api_server: ApiServer, tmp_path: Path) -> Iterator[Operated]:
    """Two rules, one of them bad, and a detector that takes up nothing."""
    page = StatusServer(
        0,
        live=lambda: None,
        ready=lambda: None,
        pages={"/ruleset": lambda: b'{"hash": "old", "inForce": {}}'},
    )
    with Operated(api_server, tmp_path) as operated:
        operated.pods.create("detector-a", page.start())
        operated.pods.run("detector-a")
        bad = rule("bad")
        bad["spec"]["expression"] = "transaction.amont > 1.0"
        operated.apply(rule("good"), bad)
        operated.until_condition("bad", "Ready", "False")
        operated.until_condition("good", "Applied", "False", "Propagating")
        yield operated
    page.stop()


def reader(system: Operated, *resources: str) -> Path:
    """The kubeconfig of someone who may read these resources of the namespace, and no more."""
    view = next(o for o in render(OURS) if o["metadata"]["name"].endswith(":view"))
    maps = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    rights = [right for right in [*view["rules"], maps] if right["resources"][0] in resources]
    api = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{api}/v1",
        "kind": "Role",
        "metadata": {"name": "reader"},
        "rules": rights,
    }
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": system.namespace}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "reader"},
        "subjects": [subject],
    }
    system.apply(role, binding)
    return system.server.account(system.namespace, "reader")


def get(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "rules", "get", *arguments],
        env={"KUBECONFIG": str(kubeconfig), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_reader_sees_each_rule_and_why_a_detector_lacks_it(system: Operated) -> None:
    kubeconfig = reader(system, "fraudrules", "configmaps")
    until(lambda: "Stale" in get(kubeconfig).stdout, "the detector is told of")
    done = get(kubeconfig)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.split("\n")]
    assert lines[1] == "bad Enforce Invalid - of 1 0/1"
    assert lines[2] == "good Enforce Ready 1 of 1 0/1"
    assert "spec.expression: a transaction has no field `amont`" in lines
    assert "not on detector-a (it still has an older ruleset)" in lines
    assert "detector-a Stale old it still has an older ruleset" in lines


def test_machines_get_json_of_the_rules_they_name(system: Operated) -> None:
    kubeconfig = reader(system, "fraudrules", "configmaps")
    done = get(kubeconfig, "good", "--output", "json")
    told = json.loads(done.stdout)
    assert [r["name"] for r in told["rules"]] == ["good"]
    assert told["rules"][0]["activeGeneration"] == 1


@pytest.mark.parametrize(
    ("resources", "arguments", "said"),
    [
        ((), (), "ask for the right to read fraudrules and configmaps"),
        (("fraudrules",), (), "ask for the right to read fraudrules and configmaps"),
        (("fraudrules", "configmaps"), ("nope",), "no FraudRule nope in this namespace"),
        (("fraudrules", "configmaps"), ("--config-map", "other"), "no operator has run"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(
    system: Operated, resources: tuple[str, ...], arguments: tuple[str, ...], said: str
) -> None:
    done = get(reader(system, *resources), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_cluster_it_says_so(tmp_path: Path) -> None:
    done = get(tmp_path / "none")
    assert done.returncode == 2
    assert "no way to a cluster" in done.stderr
