from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.traces import traces
from tests.support.streaming import until
from tools.local_kubernetes import program
from tools.this_machine import cache_folder

if TYPE_CHECKING:
    from tools.local_kubernetes import Node

pytestmark = pytest.mark.cluster

PATH = os.environ["PATH"]


@pytest.fixture
def cache(node: Node, tmp_path: Path) -> Path:
    """A cache folder with the programs that are built, and without a cluster of a person."""
    assert node.pid  # what it needs is there
    for folder in cache_folder().iterdir():
        if folder.name.startswith(("etcd-", "kubernetes-", "pods-")):
            (tmp_path / folder.name).symlink_to(folder)
    return tmp_path


def test_stays_until_it_is_taken_down(cache: Path) -> None:
    said = _run("up", cache)
    assert f"export KUBECONFIG={cache}/cluster/kubeconfig" in said
    name = _name(cache)
    try:
        assert _nodes(cache) == "node/node"
        assert "it runs already" in _run("up", cache)
        assert _nodes(cache) == "node/node"
    finally:
        _run("down", cache)
    assert traces(name) == {}
    assert not (cache / "cluster").exists()
    assert "nothing is left" in _run("down", cache)


def test_comes_again_after_its_holder_was_killed(cache: Path) -> None:
    _run("up", cache)
    first = _name(cache)
    os.kill(int((cache / "cluster/owner").read_text(encoding="ascii")), signal.SIGKILL)
    until(lambda: "processes" not in traces(first), "all of the node has ended")
    try:
        _run("up", cache)
        assert _name(cache) != first
        assert _nodes(cache) == "node/node"
        assert traces(first) == {}
    finally:
        _run("down", cache)


def test_kind_is_asked_where_docker_answers(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    for name in ("docker", "kind"):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\necho {name} "$@" >> {asked}\n', encoding="ascii")
        script.chmod(0o755)
    cache = tmp_path / "cache"
    _run("up", cache, path=f"{tmp_path}:{PATH}")
    kubeconfig = f"--kubeconfig {cache}/cluster/kubeconfig"
    create = f"kind create cluster --name fraud-detection --wait 3m {kubeconfig}\n"
    assert create in asked.read_text(encoding="ascii")
    _run("down", cache, path=f"{tmp_path}:{PATH}")
    assert "kind delete cluster --name fraud-detection\n" in asked.read_text(encoding="ascii")


def _run(command: str, cache: Path, path: str = PATH) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tools.local_kubernetes", command],
        env={**os.environ, "FRAUD_CACHE": str(cache), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _nodes(cache: Path) -> str:
    kubeconfig = f"--kubeconfig={cache}/cluster/kubeconfig"
    command = [str(program("kubectl")), kubeconfig, "get", "nodes", "-o", "name"]
    return subprocess.check_output(command, text=True).strip()


def _name(cache: Path) -> str:
    return Path((cache / "cluster/containerd").read_text(encoding="utf-8")).parent.name
