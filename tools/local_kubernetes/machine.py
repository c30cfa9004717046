"""The programs that a node and the build of images need on this machine, with hints."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from services.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

CNI_FOLDER = "/usr/lib/cni"
# Debian's packages, by the program that is needed from each.
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
# Debian puts programs here that are not always in root's PATH.
_SYSTEM_PATH = "/usr/sbin:/sbin"


class MachineError(UserError):
    """The machine cannot run a node, or build an image; the text names what is missing."""


def require(programs: Mapping[str, str], purpose: str) -> None:
    """Check that programs are installed, that this is Linux, and that the user is root.

    Args:
        programs: Debian package of each program.
        purpose: Purpose of the programs, in words.

    Raises:
        MachineError: Something is missing.

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
    """Return the command that runs a program, by its path."""
    return [which(name) or name, *arguments]


def which(name: str) -> str | None:
    """Find a program, also in folders that are only in root's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def environment() -> dict[str, str]:
    """Return an environment in which programs find others that are only in root's PATH."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"}
