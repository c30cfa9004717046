"""The commands of docs/operations.md, read from the page and run in its order on a real node."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import yaml

from tests.charts.rendering import OURS
from tests.charts.strimzi import install_crds
from tests.cluster.page import commands, headings
from tests.strimzi.stand_in import StandIn
from tools.local_kubernetes import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.conftest import Image
    from tools.local_kubernetes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

PAGE = Path("docs/operations.md")
SECTION = "On Kubernetes"
NAMESPACE = "fraud"
STEPS = ["Install", "Upgrade", "Deployment or StatefulSet", "Scale", "Back up", "Uninstall"]
# The longest are waits for pods that start, on cores that others use too.
COMMAND_SECONDS = 900.0
RULES = ["card-testing", "draining", "high-amount"]


class Terminal:
    """Where a reader of the page types: a folder of this tree's, kubectl and helm, and a node.

    Args:
        node: that kubectl and helm talk to.
        folder: an empty one.

    """

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self._folder = node, folder
        for name in ("charts", "k8s"):
            (folder / name).symlink_to(Path(name).resolve())
        programs = folder / "bin"
        programs.mkdir()
        for name in ("kubectl", "helm"):
            (programs / name).symlink_to(program(name))
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(node.kubeconfig),
        }
        self._strimzi: StandIn | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def follow(self, heading: str, block: int) -> list[str]:
        """Run the commands of a block below a heading; give what each printed."""
        return [self.run(command) for command in commands(PAGE, heading)[block]]

    def run(self, command: str) -> str:
        """Run a command that succeeds, and have Strimzi do its part."""
        done = self._run(command)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{self._pods()}"
        self._provide()
        return done.stdout

    def fails(self, command: str) -> str:
        """Run a command that does not succeed."""
        done = self._run(command)
        assert done.returncode != 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def rule(self, name: str) -> dict[str, object]:
        """The spec of a FraudRule."""
        found = self.node.kubectl("-n", NAMESPACE, "get", "fraudrule", name, "-o", "json")
        spec: dict[str, object] = json.loads(found)["spec"]
        return spec

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def _provide(self) -> None:
        """What Strimzi's operator would do by itself for what is applied by now."""
        kafka = ("get", "kafka", "kafka", "-o", "name", "--ignore-not-found")
        if not self.node.kubectl("-n", NAMESPACE, *kafka):
            self._leave()
        elif self._strimzi is None:
            self._strimzi = StandIn(self.node, NAMESPACE, address=self.node.network.host)
            self._strimzi.__enter__()
        else:
            self._strimzi.sync()

    def _leave(self) -> None:
        if self._strimzi is not None:
            self._strimzi.__exit__(None, None, None)
            self._strimzi = None

    def _pods(self) -> str:
        """How the pods are, for whoever reads why a command failed."""
        looks = [
            "get pods -o wide",
            "get events --sort-by=.lastTimestamp | tail -n 20",
            "logs --prefix --tail=8 -l app.kubernetes.io/name=fraud-detection",
        ]
        typed = [f"kubectl -n {NAMESPACE} {look}" for look in looks]
        return "".join(f"\n$ {command}\n{self._run(command).stdout}" for command in typed)


@pytest.fixture(scope="module")
def terminal(
    node: Node, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Terminal]:
    """A terminal on the node, which has the image under the name that the chart has for it."""
    about = yaml.safe_load(Path(OURS, "Chart.yaml").read_text("utf-8"))
    names = [
        f"docker.io/library/{n}" for n in (image.name, f"{about['name']}:{about['appVersion']}")
    ]
    ctr = ["ctr", f"--address={node.containerd_socket}", "--namespace=k8s.io"]
    tag = node.inside([*ctr, "images", "tag", "--force", *names])
    subprocess.run(tag, check=True, capture_output=True)
    # What other tests have left in the namespace of the page.
    node.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    install_crds(node)
    with Terminal(node, tmp_path_factory.mktemp("terminal")) as terminal:
        yield terminal
    node.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def test_all_of_the_section_is_followed_here() -> None:
    found = {name: len(commands(PAGE, name)) for name in headings(PAGE, SECTION)}
    assert [name for name, blocks in found.items() if blocks] == STEPS
    assert sum(found.values()) == len(commands(PAGE, SECTION))


def test_install(terminal: Terminal) -> None:
    (block,) = commands(PAGE, "Install")
    *_, said = terminal.follow("Install", 0)
    assert block[-1].startswith("helm test")
    assert "Phase:          Succeeded" in said
    assert "verdict: legit after" in said


def test_upgrade_and_take_it_back(terminal: Terminal) -> None:
    def late_seconds() -> str:
        path = "{.spec.template.spec.containers[0].env[?(@.name=='MAX_LATE_SECONDS')].value}"
        get = f"kubectl -n {NAMESPACE} get deployment/fraud-detector"
        return terminal.run(f'{get} -o jsonpath="{path}"').strip()

    before = late_seconds()
    *_, said = terminal.follow("Upgrade", 0)
    assert "verdict: legit after" in said
    upgraded = late_seconds()
    terminal.follow("Upgrade", 1)
    assert (before, upgraded, late_seconds()) == ("300", "600", "300")


def test_switch_the_kind_of_the_detectors_and_switch_back(terminal: Terminal) -> None:
    *_, said = terminal.follow("Deployment or StatefulSet", 0)
    assert "verdict: legit after" in said


def test_scale(terminal: Terminal) -> None:
    terminal.follow("Scale", 0)
    waiting = f"kubectl -n {NAMESPACE} wait fraudrules --all --timeout=120s"
    terminal.run(f"{waiting} --for=jsonpath='{{.status.applied}}'=2/2")
    said = terminal.run(f"kubectl -n {NAMESPACE} get fraudrules")
    assert said.count("2/2") == len(RULES)


def test_back_up_and_restore(terminal: Terminal) -> None:
    before = {name: terminal.rule(name) for name in RULES}
    terminal.follow("Back up", 0)
    values = yaml.safe_load(terminal.run("cat fraud.yaml"))
    assert values == {"detector": {"kind": "Deployment", "replicas": 2}}
    terminal.run(f"kubectl -n {NAMESPACE} delete fraudrule draining")
    shadow = """--type=merge -p '{"spec": {"mode": "Shadow"}}'"""
    terminal.run(f"kubectl -n {NAMESPACE} patch fraudrule high-amount {shadow}")
    assert terminal.rule("high-amount") != before["high-amount"]
    terminal.follow("Back up", 1)
    assert {name: terminal.rule(name) for name in RULES} == before


def test_a_test_that_fails_says_why(terminal: Terminal) -> None:
    upgrade = f"helm upgrade fraud charts/fraud-detection -n {NAMESPACE} --reset-then-reuse-values"
    terminal.run(f"{upgrade} --set test.timeoutSeconds=3")
    terminal.run(f"kubectl -n {NAMESPACE} scale deployment/fraud-detector --replicas=0")
    detectors = "pod -l app.kubernetes.io/component=detector"
    terminal.run(f"kubectl -n {NAMESPACE} wait {detectors} --for=delete --timeout=120s")
    said = terminal.fails(f"helm test fraud -n {NAMESPACE} --logs")
    assert "Phase:          Failed" in said
    assert "sent {" in said
    assert "no verdict: not within 3 s" in said
    assert "Look whether a detector runs and is ready" in said


def test_uninstall(terminal: Terminal) -> None:
    *_, rules = terminal.follow("Uninstall", 0)
    assert [line.split()[0] for line in rules.splitlines()[1:]] == RULES
    # Helm waits for what it deletes, and not for the pods of that.
    terminal.run(f"kubectl -n {NAMESPACE} wait pod --all --for=delete --timeout=60s")
    maps = f"kubectl -n {NAMESPACE} wait configmap/fraud-rules configmap/fraud-detectors"
    terminal.run(f"{maps} --for=delete --timeout=60s")
    left = "kubectl get deployments,statefulsets,services,roles,networkpolicies"
    ours = "-l app.kubernetes.io/instance=fraud -o name"
    assert terminal.run(f"{left} -n {NAMESPACE} {ours}") == ""
    of_the_cluster = "kubectl get clusterroles,clusterrolebindings,validatingwebhookconfigurations"
    assert terminal.run(f"{of_the_cluster} {ours}") == ""
    terminal.follow("Uninstall", 1)
    assert "fraudrules" not in terminal.run("kubectl api-resources -o name")
