"""skaffold.yaml: what each profile renders, without a cluster, and that an API server takes it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.charts.rendering import pick
from tests.charts.strimzi import install_crds
from tools.local_kubernetes import program

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

BROKERS = "one.example:9092,two.example:9092"
WORKLOADS = {"Deployment", "StatefulSet"}
STRIMZIS = {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"}
PROFILES = ("dev", "production", "external-broker")


@cache
def _render(profile: str) -> str:
    folders = {str(program(name).parent) for name in ("helm", "kubectl")}
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [
                program("skaffold"),
                "render",
                f"--profile={profile}",
                "--digest-source=tag",
                "--tag=1.2.3",
                "--default-repo=registry.example/team",
            ],
            env={
                "PATH": os.pathsep.join(folders),
                "HOME": home,
                "KAFKA_BROKER_URL": BROKERS,
                "SKAFFOLD_UPDATE_CHECK": "false",
                "SKAFFOLD_INTERACTIVE": "false",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def rendered(profile: str) -> list[dict[str, Any]]:
    """What a profile renders where there is neither a cluster nor Docker."""
    return [value for value in yaml.safe_load_all(_render(profile)) if value]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_real_api_server_takes_all_of_it(
    api_server: ApiServer, rendered: list[dict[str, Any]]
) -> None:
    install_crds(api_server)
    namespace = api_server.new_namespace()
    apply = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    for one in rendered:
        assert one["metadata"].get("namespace") is None
    said = api_server.kubectl(*apply, "-n", namespace, stdin=yaml.safe_dump_all(rendered))
    assert said.count("serverside-applied") == len(rendered)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_pod_has_the_image_of_the_build(rendered: list[dict[str, Any]]) -> None:
    pods = [one["spec"]["template"]["spec"] for one in rendered if one["kind"] in WORKLOADS]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert images == {"registry.example/team/fraud-detection:1.2.3"}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_rules_of_the_tree_come_with_it(rendered: list[dict[str, Any]]) -> None:
    names = {one["metadata"]["name"] for one in rendered if one["kind"] == "FraudRule"}
    assert names == {path.stem for path in Path("k8s/rules").glob("*.yaml")}


@pytest.mark.parametrize(
    ("profile", "brokers", "detectors", "generators"),
    [("dev", 1, 1, 1), ("production", 3, 3, 0)],
)
def test_sizes(
    rendered: list[dict[str, Any]], brokers: int, detectors: int, generators: int
) -> None:
    pools = [one["spec"] for one in rendered if one["kind"] == "KafkaNodePool"]
    assert sum(pool["replicas"] for pool in pools if "broker" in pool["roles"]) == brokers
    assert pick(rendered, "Deployment", "fraud-detector")["spec"]["replicas"] == detectors
    names = [one["metadata"]["name"] for one in rendered if one["kind"] == "Deployment"]
    assert names.count("fraud-generator") == generators


@pytest.mark.parametrize("profile", ["external-broker"])
def test_only_what_is_ours_goes_to_a_broker_elsewhere(rendered: list[dict[str, Any]]) -> None:
    assert not STRIMZIS & {one["kind"] for one in rendered}
    (container,) = pick(rendered, "Deployment", "fraud-detector")["spec"]["template"]["spec"][
        "containers"
    ]
    settings = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert settings["KAFKA_BROKER_URL"] == BROKERS
    assert "KAFKA_SECURITY_PROTOCOL" not in settings
