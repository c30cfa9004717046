"""`make dev`: skaffold in the cluster of `make cluster`, with the programs that the machine lacks.

Our own node has neither Strimzi nor a broker. So a broker runs on this machine as long as
skaffold does, unless KAFKA_BROKER_URL names one.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kafka import Broker, create_topics
from tools.local_kubernetes import cluster
from tools.local_kubernetes.docker import Docker
from tools.local_kubernetes.image import PROJECT, build
from tools.local_kubernetes.machine import which
from tools.local_kubernetes.programs import program
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IMAGE = "fraud-detection:dev"
_BROKER = "KAFKA_BROKER_URL"
_TOPICS = {
    "queueing.transactions": 4,
    "streaming.transactions.legit": 4,
    "streaming.transactions.fraud": 4,
    "streaming.transactions.dead-letters": 1,
}
# No questions, no check for updates, no usage data.
_CONFIGURATION = {"global": {"collect-metrics": False, "survey": {"disable-prompt": True}}}


def dev(arguments: Sequence[str], say: cluster.Say) -> int:
    """Run `skaffold dev` until Ctrl-C, and return its exit code.

    Args:
        arguments: Further arguments for skaffold.
        say: Called with each line of progress.

    Raises:
        ClusterError: No cluster runs, or its pods cannot reach the given broker.
        DockerError: No image can be built.

    """
    node = cluster.held_node()
    if node is None and not cluster.by_kind():
        raise cluster.ClusterError("no cluster runs; `make cluster` starts one")
    named = os.environ.get(_BROKER, "")
    if named.startswith(("localhost:", "127.")):
        raise cluster.ClusterError(
            f"pods do not reach {_BROKER}={named}; name another address of it, or unset it"
        )
    with contextlib.ExitStack() as end:
        docker = end.enter_context(Docker(say))
        # skaffold's images are built from these layers, and the layers stay when it has ended.
        build(docker, _IMAGE, say)
        environment = end.enter_context(environment_of(docker, node.registry if node else ""))
        environment["KUBECONFIG"] = str(cluster.kubeconfig())
        command = [skaffold(), "dev"]
        if node is not None:
            command.append("--profile=external-broker")
            if not named:
                say("starting a broker, as this cluster has no Strimzi")
                broker = end.enter_context(Broker(node.host))
                create_topics(broker.bootstrap, _TOPICS)
                environment[_BROKER] = broker.bootstrap
        command += arguments
        say(" ".join(["skaffold", *command[1:]]))
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
        )
        while True:
            # Ctrl-C goes to skaffold too, which then removes what it has deployed.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


@contextlib.contextmanager
def environment_of(docker: Docker, registry: str) -> Iterator[dict[str, str]]:
    """Yield the environment for skaffold: a Docker, helm, kubectl, its settings.

    Args:
        docker: Docker that builds; our own daemon removes the images that skaffold has pushed.
        registry: Registry of the node; empty if images are loaded into the cluster without one.

    """
    with tempfile.TemporaryDirectory(prefix="fraud-skaffold-") as folder:
        configuration = Path(folder, "config")
        configuration.write_text(json.dumps(_CONFIGURATION), encoding="utf-8")  # JSON is YAML
        environment = docker.environment() | {
            "SKAFFOLD_CONFIG": str(configuration),
            "SKAFFOLD_INTERACTIVE": "false",
            "SKAFFOLD_UPDATE_CHECK": "false",
            # The cluster is this machine. To build for a named platform, skaffold needs BuildKit,
            # which Debian's Docker lacks.
            "SKAFFOLD_CHECK_CLUSTER_NODE_PLATFORMS": "false",
        }
        for name in ("helm", "kubectl"):
            if which(name) is None:
                environment["PATH"] += f":{program(name).parent}"
        if registry:
            environment["SKAFFOLD_DEFAULT_REPO"] = registry
        yield environment
        if registry and docker.is_ours:
            # By name: one of them may also be the image of `build`. Older ones have no name left.
            form = "--format={{.Repository}}:{{.Tag}}"
            names = docker.run("image", "ls", form, f"{registry}/fraud-detection").split()
            if named := [name for name in names if "<none>" not in name]:
                docker.run("image", "rm", *named)
            docker.run("image", "prune", "--force")


def skaffold() -> str:
    """Return the skaffold to run: the machine's own, or a built one."""
    return which("skaffold") or str(program("skaffold"))
