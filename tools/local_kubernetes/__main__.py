"""`python -m tools.local_kubernetes up|down|image|dev|programs|hold`, for `make cluster` etc."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from services.errors import UserError
from tools.local_kubernetes import cluster
from tools.local_kubernetes.dev import dev
from tools.local_kubernetes.programs import build_all

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "fraud-detection:0.1.0"
USAGE_ERROR = 2


def main(words: list[str]) -> int:
    """Run one command; the exit code is 0 if it succeeded."""
    begun = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - begun:6.1f} s  {line}\n")
        sys.stdout.flush()

    commands: dict[str, Callable[[], int | None]] = {
        "up": lambda: _up(say),
        "down": lambda: _down(say),
        "image": lambda: _image(say),
        "dev": lambda: dev(words[1:], say),
        "programs": build_all,
        "hold": cluster.hold,
    }
    if not words or words[0] not in commands or (words[1:] and words[0] != "dev"):
        sys.stderr.write(f"usage: python -m tools.local_kubernetes {'|'.join(commands)}\n")
        return USAGE_ERROR
    try:
        return commands[words[0]]() or 0
    except (UserError, OSError, subprocess.CalledProcessError) as error:
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
