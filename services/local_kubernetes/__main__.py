"""`python -m services.local_kubernetes up|down|image|dev|hold`: what `make cluster` etc. run."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from services.local_kafka import BrokerError, DistributionError
from services.local_kubernetes import cluster
from services.local_kubernetes.control_plane import ControlPlaneError
from services.local_kubernetes.dev import dev
from services.local_kubernetes.docker import DockerError
from services.local_kubernetes.machine import MachineError
from services.local_kubernetes.programs import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "fraud-detection:0.1.0"
USAGE_ERROR = 2
_ERRORS = (
    BrokerError,
    cluster.ClusterError,
    ControlPlaneError,
    DistributionError,
    DockerError,
    MachineError,
    ProgramError,
    OSError,
    subprocess.CalledProcessError,
)


def main(words: list[str]) -> int:
    """Run one command; the exit code is 0 when it was done."""
    begun = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun:6.1f} s  {line}\n")
        sys.stdout.flush()

    commands: dict[str, Callable[[], int | None]] = {
        "up": lambda: _up(say),
        "down": lambda: _down(say),
        "image": lambda: _image(say),
        "dev": lambda: dev(words[1:], say),
        "hold": cluster.hold,
    }
    if not words or words[0] not in commands or (words[1:] and words[0] != "dev"):
        sys.stderr.write(f"usage: python -m services.local_kubernetes {'|'.join(commands)}\n")
        return USAGE_ERROR
    try:
        return commands[words[0]]() or 0
    except _ERRORS as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _up(say: cluster.Say) -> None:
    path = cluster.up(say)
    say("the cluster runs")
    sys.stdout.write(
        f"\nNext:  export KUBECONFIG={path}\n"
        f"       {cluster.kubectl()} get nodes\n"
        f"       make image    # builds {IMAGE} and gives it to the cluster\n"
        "       make dev      # or: builds, installs, shows the logs and follows every edit\n"
        "       make cluster-down\n"
    )


def _down(say: cluster.Say) -> None:
    cluster.down(say)
    say("no cluster runs, and nothing is left of it")


def _image(say: cluster.Say) -> None:
    cluster.load_image(IMAGE, say)
    say(f"the cluster has {IMAGE}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
