"""What a node, and the building of images, need of this machine, said with the way to get it."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CNI_FOLDER = "/usr/lib/cni"
# Debian's packages, by the program that each is wanted for.
NODE_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
    f"{CNI_FOLDER}/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
IMAGE_PROGRAMS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "debootstrap": "debootstrap",
    "unshare": "util-linux",
}
# Where root's shell need not look, and Debian puts them.
_SYSTEM_PATH = "/usr/sbin:/sbin"


class MachineError(Exception):
    """The machine cannot run a node, or build an image; the text says what is missing."""


def require(programs: Mapping[str, str], purpose: str) -> None:
    """Look for programs, on Linux and as root.

    Args:
        programs: the Debian package of each.
        purpose: what they are for, in words.

    Raises:
        MachineError: something is missing.

    """
    if sys.platform != "linux":
        raise MachineError(f"{purpose} needs Linux")
    if os.geteuid() != 0:
        raise MachineError(f"{purpose} needs root")
    missing = sorted({package for name, package in programs.items() if not which(name)})
    if missing:
        raise MachineError(
            f"{purpose} needs: apt-get install --no-install-recommends {' '.join(missing)}"
        )


def command(name: str, *arguments: str) -> list[str]:
    """Give the command that runs a program, by its path."""
    return [which(name) or name, *arguments]


def which(name: str) -> str | None:
    """Find a program, also where only root looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def environment() -> dict[str, str]:
    """Give the environment for programs that look for others where only root does."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"}
