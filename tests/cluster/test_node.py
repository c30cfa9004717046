from __future__ import annotations

import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.pods import Pods
from tests.cluster.traces import name_of, traces
from tests.support.streaming import until
from tools.local_kubernetes import ControlPlaneError, Node, machine

if TYPE_CHECKING:
    from tests.cluster.conftest import Image

pytestmark = pytest.mark.cluster

# Without a process, a mount or a rule; the link for minutes, the rest until the next start.
_LEFT_BY_A_CRASH = {"links", "routes", "files", "control groups"}


def test_is_ready(node: Node) -> None:
    path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    assert node.kubectl("get", "nodes", "-o", path) == "True"


def test_services_and_names_work(node: Node, image: Image) -> None:
    pods = Pods(node, image.name, "names")
    serve = ["python", "-m", "http.server", "8000", "--directory", "/opt/app"]
    ready = {"httpGet": {"port": 8000}, "periodSeconds": 1}
    pods.run("server", command=serve, readinessProbe=ready)
    pods.kubectl("expose", "pod", "server", "--port=80", "--target-port=8000")
    pods.kubectl("wait", "--for=condition=Ready", "pod/server", "--timeout=180s")
    pods.shell("client")

    ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=60).read())"

    def reads(pod: str, name: str) -> bool:
        try:
            said = pods.kubectl("exec", pod, "--", "python", "-c", ask, f"http://{name}/")
        except ControlPlaneError:  # kube-proxy takes a moment to know of a pod that became ready
            return False
        return "services/" in said

    for name in ("server", "server.names", "server.names.svc.cluster.local"):
        until(partial(reads, "client", name), f"{name} is reached")
    until(partial(reads, "server", "server.names"), "a pod reaches itself by its own Service")
    address = pods.kubectl("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")
    with urllib.request.urlopen(f"http://{address}/", timeout=60) as answer:
        assert b"services/" in answer.read()


def test_mounted_config_map_is_refreshed_at_once_when_its_pod_is_touched(
    node: Node, image: Image
) -> None:
    """What the operator relies on: an annotation makes kubelet look.

    The pod that is not touched waits for kubelet's own round, which comes once a minute.
    """
    pods = Pods(node, image.name, "mounts")
    pods.kubectl("create", "configmap", "words", "--from-literal=word=old")
    for name in ("touched", "untouched"):
        pods.run(
            name,
            command=["sleep", "infinity"],
            volumes=[{"name": "words", "configMap": {"name": "words"}}],
            volumeMounts=[{"name": "words", "mountPath": "/words"}],
        )
    for name in ("untouched", "touched"):
        pods.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=180s")
        assert pods.execute(name, "cat /words/word") == "old"

    pods.kubectl("patch", "configmap", "words", "-p", '{"data": {"word": "new"}}')
    pods.kubectl("annotate", "pod", "touched", "touched=1")
    until(lambda: pods.execute("touched", "cat /words/word") == "new", "the mount is refreshed")
    assert pods.execute("untouched", "cat /words/word") == "old"


def test_leaves_nothing_behind(node: Node) -> None:
    with Node() as second:
        name = name_of(second)
        assert set(traces(name)) == {"processes", "links", "routes", "control groups", "files"}
        # Beside one another: the first is not disturbed.
        assert second.kubectl("get", "nodes", "-o", "name") == "node/node\n"
        assert node.kubectl("get", "nodes", "-o", "name") == "node/node\n"
        assert second.network.pods != node.network.pods
    assert traces(name) == {}


def test_what_a_killed_program_leaves_is_removed_by_the_next(node: Node) -> None:
    name = _killed()
    # By Linux, with their mounts and iptables rules.
    until(lambda: set(traces(name)) <= _LEFT_BY_A_CRASH, "its processes have ended")
    assert "files" in traces(name)
    with Node() as second:
        assert traces(name) == {}
        assert "processes" in traces(name_of(second))
    assert "processes" in traces(name_of(node))


def test_iptables_of_this_machine_are_as_they_were(node: Node) -> None:
    save = machine.command("iptables-save")
    assert "KUBE-" not in subprocess.check_output(save, text=True)
    assert "KUBE-SERVICES" in subprocess.check_output(node.inside(save), text=True)


def test_kernel_of_this_machine_is_left_alone(node: Node) -> None:
    """Kubelet sets vm.overcommit_memory and others, in files that only it sees."""
    path = "/proc/sys/vm/overcommit_memory"
    assert subprocess.check_output(node.inside(["cat", path]), text=True) == "1\n"
    inside = Path(f"/proc/{node.pid}/mounts").read_text(encoding="utf-8")
    assert f" {path} " in inside


def test_a_program_that_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "which", lambda name: None if name == "ctr" else "/bin/true")
    with pytest.raises(machine.MachineError, match=r"apt-get install .* containerd$"):
        machine.require(machine.NODE_PROGRAMS, "a node")


def _killed() -> str:
    """Start a node in another program, kill that, and give the node's name."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.held_node"], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    with program.stdout:
        name = program.stdout.readline().strip()
        assert set(traces(name)) >= {"processes", "links"}
        program.kill()
        program.wait()
    return name


def test_refused_manifest_is_told_of(node: Node) -> None:
    with pytest.raises(ControlPlaneError, match="unknown field"):
        node.kubectl(
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
            stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"date":{}}',
        )
