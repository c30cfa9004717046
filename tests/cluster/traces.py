"""What a node has on this machine, found by its name: processes, mounts, links, groups, files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kubernetes.machine import command
from tools.local_kubernetes.state import PARENT

if TYPE_CHECKING:
    from tools.local_kubernetes import Node


def traces(name: str) -> dict[str, list[str]]:
    """Give what there is, by kind; kinds of which there is nothing are left out."""
    link = name.replace("node-", "")
    links = subprocess.check_output(command("ip", "-oneline", "link"), text=True)
    routes = subprocess.check_output(command("ip", "route"), text=True)
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    found = {
        "processes": _processes(name),
        "mounts": [line for line in mounts if name in line],
        "links": [line for line in links.splitlines() if link in line],
        "routes": [line for line in routes.splitlines() if link in line],
        "control groups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{name}")],
        "files": [str(path) for path in PARENT.glob(name)],
    }
    return {kind: ones for kind, ones in found.items() if ones}


def name_of(node: Node) -> str:
    """Give the name by which a node's traces are found."""
    return node.folder.name


def _processes(name: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            group = (process / "cgroup").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        if name in words or name in group:
            found.append(f"{process.name} {words}")
    return found
