"""Which version of Kafka a cluster has, and who is warned of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.charts.matrix import DEV, PRODUCTION
from tests.charts.rendering import KAFKA, helm, pick, render

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

GOOD = "4.2.1"
FORGETS = "4.3.1"


@pytest.mark.parametrize("files", [(), (DEV,), (PRODUCTION,)], ids=["default", "dev", "production"])
def test_a_new_cluster_has_a_version_that_forgets_no_commit(files: tuple[str, ...]) -> None:
    assert pick(render(KAFKA, *files), "Kafka")["spec"]["kafka"]["version"] == GOOD


def test_an_upgrade_leaves_an_installed_cluster_its_version(
    all_kinds: ApiServer, namespace: str
) -> None:
    there = (f"--namespace={namespace}", f"--kubeconfig={all_kinds.kubeconfig}")
    upgrade = ("upgrade", "--install", "kafka", KAFKA, *there, "--reset-values")

    def version(*values: str) -> str:
        done = helm(*upgrade, *values)
        assert done.returncode == 0, done.stderr
        shown = "--output=jsonpath={.spec.kafka.version}"
        return all_kinds.kubectl("--namespace", namespace, "get", "kafka", "kafka", shown)

    assert version(f"--set=kafkaVersion={FORGETS}") == FORGETS
    assert version() == FORGETS
    assert version("--set=kafkaVersion=4.4.0") == "4.4.0"
    assert version(f"--values={DEV}") == "4.4.0"


@pytest.mark.parametrize(
    ("version", "files", "warned"),
    [
        (FORGETS, (DEV,), True),
        ("4.3.0", (DEV,), True),
        ("4.4.0", (DEV,), True),
        (GOOD, (DEV,), False),
        (FORGETS, (), False),
    ],
)
def test_an_affected_version_with_one_copy_is_warned_of(
    version: str, files: tuple[str, ...], *, warned: bool, all_kinds: ApiServer, namespace: str
) -> None:
    there = (f"--namespace={namespace}", f"--kubeconfig={all_kinds.kubeconfig}")
    chosen = [f"--values={file}" for file in files]
    given = (*chosen, f"--set=kafkaVersion={version}", "--dry-run=server")
    done = helm("install", "kafka", KAFKA, *there, *given)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:\n")[2]
    assert ("KAFKA-20734" in notes) is warned
    assert ("docs/operations.md" in notes) is warned


def test_brokers_look_every_second_for_transactions_that_timed_out() -> None:
    config = pick(render(KAFKA), "Kafka")["spec"]["kafka"]["config"]
    assert config["transaction.abort.timed.out.transaction.cleanup.interval.ms"] == 1000
