"""`skaffold dev` on a real node: it builds, pushes, installs, follows edits and takes all down.

The broker is that of the stand-in for Strimzi. Edits are made in a copy of the tree.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.charts.strimzi import install_crds
from tests.cluster.conftest import say
from tests.cluster.skaffolding import (
    DOWN_SECONDS,
    EDIT_SECONDS,
    FIRST_SECONDS,
    Skaffold,
    definition_of_nobody,
)
from tests.strimzi.stand_in import StandIn
from tests.support.streaming import read_all, until
from tools.local_kubernetes import Docker
from tools.local_kubernetes.dev import environment_of, skaffold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.conftest import Image
    from tools.local_kubernetes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

NAMESPACE = "skaffold"
WHAT_IT_READS = (".dockerignore", "Dockerfile", "charts", "k8s", "requirements.txt", "services")
VERDICTS = ["streaming.transactions.legit", "streaming.transactions.fraud"]
RULE = "high-amount"
SOURCE = "services/generator/__main__.py"
MARK = "a line that an edit brought"
OURS = "statefulsets,deployments,fraudrules"
STRIMZIS = "kafkas,kafkanodepools,kafkatopics,kafkausers"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what skaffold and Docker read."""
    folder = tmp_path_factory.mktemp("tree")
    for name in (*WHAT_IT_READS, "skaffold.yaml"):
        if Path(name).is_dir():
            shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def dev(
    node: Node,
    image: Image,
    tree: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Skaffold]:
    """Skaffold at work, with Strimzi's part played as soon as its resources are there."""
    assert image.size_bytes  # its layers are those that skaffold's build finds
    home = tmp_path_factory.mktemp("skaffold")
    install_crds(node)
    begun = time.monotonic()
    with (
        definition_of_nobody(node),
        Docker() as docker,
        environment_of(docker, node.registry) as environment,
    ):
        environment |= {"HOME": str(home), "KUBECONFIG": str(node.kubeconfig)}
        command = [skaffold(), "dev", f"--namespace={NAMESPACE}"]
        with Skaffold(node, NAMESPACE, command, tree, environment, home / "said") as dev:
            dev.wait(lambda: "NAME: kafka" in dev.said(), "Kafka's chart is there", FIRST_SECONDS)
            say(request, f"skaffold dev: built and pushed in {time.monotonic() - begun:.1f} s")
            with StandIn(node, NAMESPACE, address=node.network.host) as strimzi:
                dev.wait_until_deployed()
                until(lambda: read_all(strimzi.broker, VERDICTS), "verdicts")
                say(request, f"skaffold dev: verdicts after {time.monotonic() - begun:.1f} s")
                yield dev


def edit(path: Path, old: str, new: str) -> float:
    """Replace some text of a file, as an editor that saves it, and give the time."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return time.monotonic()


def test_pods_have_the_image_that_was_pushed(dev: Skaffold, node: Node) -> None:
    images = dev.kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}")
    (image,) = set(images.split())
    assert image.startswith(f"{node.registry}/fraud-detection:latest@sha256:")


def test_an_edited_rule_is_in_force_with_the_same_pods(
    dev: Skaffold, tree: Path, request: pytest.FixtureRequest
) -> None:
    dev.wait(lambda: dev.is_in_force(RULE, "Enforce"), "the rule", EDIT_SECONDS)
    pods = dev.pods()
    saved = edit(tree / f"k8s/rules/{RULE}.yaml", "spec:\n", "spec:\n  mode: Shadow\n")
    dev.wait(lambda: dev.is_in_force(RULE, "Shadow"), "the edit", EDIT_SECONDS)
    say(
        request, f"skaffold dev: an edited rule was in force after {time.monotonic() - saved:.1f} s"
    )
    assert dev.pods() == pods


def test_an_edited_source_is_rolled_out(
    dev: Skaffold, tree: Path, request: pytest.FixtureRequest
) -> None:
    pods = dev.pods()
    first = "from __future__ import annotations\n"
    saved = edit(tree / SOURCE, first, f"{first}\nprint({MARK!r}, flush=True)\n")
    # Skaffold itself shows no logs until all pods are ready.
    generators = "--selector=app.kubernetes.io/component=generator"
    log = partial(dev.kubectl, "logs", generators, "--tail=-1", "--ignore-errors")
    dev.wait(lambda: MARK in log(), "the edited generator speaks", EDIT_SECONDS)
    say(request, f"skaffold dev: an edited source ran after {time.monotonic() - saved:.1f} s")
    dev.wait(lambda: not pods & dev.pods(), "every pod is a new one", EDIT_SECONDS)


def test_ctrl_c_takes_all_down(dev: Skaffold) -> None:
    dev.stop()
    assert dev.kubectl("get", f"{OURS},{STRIMZIS}", "-o", "name") == ""
    until(lambda: not dev.pods(), "the pods have ended", DOWN_SECONDS)
