from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.conftest import Image, say
from tests.cluster.pods import Pods

if TYPE_CHECKING:
    from tools.local_kubernetes import Node

pytestmark = pytest.mark.cluster

# Seen: 492 MB, of which Debian is 79, Python 35, and llvmlite, numba's compiler, 173.
MOST_BYTES = 520e6
# From the start of the process to its first line, on two busy cores. Seen: 1 s.
# Compiling instead of loading takes 10 s.
PREPARE = 'python -c "from services import columns, windows; columns.prepare(); windows.prepare()"'


@pytest.fixture(scope="module")
def pods(node: Node, image: Image) -> Pods:
    """A namespace with a pod of the image to look around in."""
    pods = Pods(node, image.name, "image")
    pods.shell("shell")
    return pods


def test_is_of_a_bounded_size(image: Image) -> None:
    assert image.size_bytes < MOST_BYTES


def test_generator_starts_and_waits_for_kafka(pods: Pods) -> None:
    pods.run("generator", args=["generator"])
    assert '"started"' in pods.log_with("generator", "waiting for Kafka")


def test_detector_says_that_it_has_no_rules(pods: Pods) -> None:
    pods.run("detector", args=["detector"])
    assert "RULES_PATH" in pods.log_with("detector", "does not exist")
    assert pods.exit_code("detector") == 2


def test_operator_starts(pods: Pods) -> None:
    pods.run("operator", args=["operator"])
    # Of its account, which has no right to anything yet.
    assert '"started"' in pods.log_with("operator", "forbidden")


def test_console_starts_with_its_page_and_waits_for_kafka(pods: Pods) -> None:
    pods.run("console", args=["console"])
    assert '"started"' in pods.log_with("console", "topic not read")


def test_trusts_public_authorities(pods: Pods) -> None:
    count = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
    assert int(pods.execute("shell", f'python -c "{count}"')) > 50


def test_unknown_service_is_refused(pods: Pods) -> None:
    pods.run("misspelt", args=["detektor"])
    assert "services.detektor" in pods.log_with("misspelt", "No module")
    assert pods.exit_code("misspelt") == 1


def test_detector_starts(pods: Pods, request: pytest.FixtureRequest) -> None:
    rules = "--from-file=k8s/rules/high-amount.yaml"
    pods.kubectl("create", "configmap", "rules", rules)
    text = pods.kubectl("get", "configmap", "rules", "-o", r"jsonpath={.data.high-amount\.yaml}")
    script = f"""
import os, pathlib, subprocess, time
pathlib.Path("/dev/shm/rules.yaml").write_text({text!r})
begun = time.monotonic()
detector = subprocess.Popen(["fraud-service", "detector"], stderr=subprocess.PIPE, text=True,
                            env=os.environ | {{"RULES_PATH": "/dev/shm/rules.yaml"}})
line = detector.stderr.readline()
print(time.monotonic() - begun, line)
detector.kill()
"""
    seconds, line = pods.kubectl("exec", "shell", "--", "python", "-c", script).split(" ", 1)
    assert '"started"' in line
    say(request, f"a detector's first line came after {float(seconds):.2f} s")


def test_machine_code_is_loaded_and_not_compiled(pods: Pods) -> None:
    said = pods.execute("shell", f"fraud-service detector; NUMBA_DEBUG_CACHE=1 {PREPARE}")
    assert said.count("data loaded from") >= 7
    assert "data saved" not in said


def test_compiling_would_be_noticed(pods: Pods) -> None:
    said = pods.execute(
        "shell", f"export NUMBA_CACHE_DIR=/dev/shm/new NUMBA_DEBUG_CACHE=1; {PREPARE}"
    )
    assert "data saved" in said


def test_runs_without_root_and_writes_nothing(pods: Pods) -> None:
    assert pods.execute("shell", "id -u").strip() == "10001"
    assert "Read-only" in pods.execute("shell", "touch /opt/app/new || true")


def test_its_own_user_is_a_number_other_than_root(pods: Pods) -> None:
    # Kubernetes starts no image with a user's name so: it cannot tell whether that is root.
    nobody_in_particular = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pods.run("own-user", security=nobody_in_particular, command=["id", "-u"])
    pods.log_with("own-user", "10001")


@pytest.mark.parametrize("program", ["pip", "pip3", "gcc", "cc", "ld", "make", "curl", "wget"])
def test_has_no_tools(pods: Pods, program: str) -> None:
    assert (
        pods.execute("shell", f"command -v sh; command -v {program} || true").strip()
        == "/usr/bin/sh"
    )


def test_has_no_pip_and_no_leftovers_of_the_build(pods: Pods) -> None:
    assert "No module named pip" in pods.execute("shell", "python -m pip || true")
    found = pods.execute("shell", "find / -xdev -name pip -o -name '*.whl' 2> /dev/null || true")
    assert not found.strip()
    kept = pods.execute("shell", "ls -A /var/lib/apt/lists /var/cache/apt /tmp /root || true")
    assert "Packages" not in kept
    assert ".cache" not in kept


def test_has_only_what_the_services_run_from(pods: Pods) -> None:
    names = pods.execute("shell", "ls /opt/app /opt/app/services").split()
    assert {"detector", "generator", "operator"} <= set(names)
    assert not {"tests", "tools", "Dockerfile"} & set(names)
