"""What `make dev` runs, where `make cluster` has started a node."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.skaffolding import DOWN_SECONDS, EDIT_SECONDS, Skaffold, definition_of_nobody
from tests.support.streaming import until
from tools.local_kubernetes import cluster
from tools.this_machine import cache_folder

if TYPE_CHECKING:
    from tests.cluster.conftest import Image
    from tools.local_kubernetes import Node

pytestmark = [pytest.mark.cluster, pytest.mark.kafka]

NAMESPACE = "make-dev"
DEV = [sys.executable, "-m", "tools.local_kubernetes", "dev", f"--namespace={NAMESPACE}"]


def test_a_broker_is_brought_to_a_node_without_strimzi(
    node: Node, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image.size_bytes  # its layers are those that skaffold's build finds
    for folder in cache_folder().iterdir():
        if folder.name != "cluster":
            (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv("FRAUD_CACHE", str(tmp_path))
    monkeypatch.delenv("KAFKA_BROKER_URL", raising=False)
    with definition_of_nobody(node), cluster.ownership():
        cluster.publish(node)
        environment = os.environ | {"HOME": str(tmp_path)}
        log = tmp_path / "said"
        with Skaffold(node, NAMESPACE, DEV, Path.cwd(), environment, log) as dev:
            dev.wait_until_deployed()
            dev.wait(lambda: dev.is_in_force("high-amount", "Enforce"), "the rule", EDIT_SECONDS)
            dev.stop()
    assert dev.kubectl("get", "statefulsets,deployments", "-o", "name") == ""
    until(lambda: not dev.pods(), "the pods have ended", DOWN_SECONDS)
