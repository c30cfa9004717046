"""Folder, link and control groups of a node, and the removal of those whose owner was killed.

A node's folder is locked by the process that runs it. Linux releases the lock
however that process ends, so a folder that can be locked has no owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tools.local_kubernetes.machine import command

if TYPE_CHECKING:
    from collections.abc import Iterator

# On disk, because /tmp is in memory on some machines: images are unpacked here.
PARENT = Path("/var/tmp")  # noqa: S108 - the names below it are random, made by mkdtemp
PREFIX = "fraud-node-"
_LOCK = "owner"
_CGROUPS = Path("/sys/fs/cgroup")
# The control group of a killed process can be removed only after its memory is released.
_LEAVE_SECONDS = 10.0


class StateFolder:
    """A new folder, owned by this process; the control group has the same name."""

    def __init__(self) -> None:
        sweep()
        with _alone():
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
            self._lock = _locked(self.path)

    @property
    def name(self) -> str:
        """The last part of the path, used in the names of everything that belongs to it."""
        return self.path.name

    @property
    def link(self) -> str:
        """Name of this machine's end of the cable to the node."""
        return _link(self.name)

    def make_control_group(self) -> None:
        """Create the group in each hierarchy, with the limits that the machine supports."""
        hierarchies = [path for path in _CGROUPS.iterdir() if path.is_dir()]
        if (_CGROUPS / "cgroup.controllers").exists():  # version 2: a single one
            hierarchies = [_CGROUPS]
            controllers = (_CGROUPS / "cgroup.controllers").read_text(encoding="ascii").split()
            for controller in controllers:
                with contextlib.suppress(OSError):  # a controller that cannot be delegated
                    (_CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}", "ascii")
        for hierarchy in hierarchies:
            with contextlib.suppress(OSError):  # a hierarchy that is mounted read-only
                (hierarchy / self.name).mkdir(exist_ok=True)

    def remove(self) -> None:
        """Delete the folder, the link and the control groups, once their processes have ended."""
        _remove(self.path)
        if self._lock is not None:
            self._lock.close()


def sweep() -> None:
    """Delete what killed owners have left behind."""
    with _alone():
        for folder in PARENT.glob(f"{PREFIX}*"):
            lock = _locked(folder)
            if lock is not None:
                _remove(folder)
                lock.close()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from a sweep between the creation of a folder and its locking."""
    parent = os.open(PARENT, os.O_RDONLY)
    try:
        fcntl.flock(parent, fcntl.LOCK_EX)
        yield
    finally:
        os.close(parent)


def _locked(folder: Path) -> IO[str] | None:
    """Lock a folder; None if another process has it."""
    try:
        lock = (folder / _LOCK).open("a", encoding="ascii")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _link(name: str) -> str:
    return name.replace("node-", "")[:15]  # Linux allows no more


def _remove(folder: Path) -> None:
    # An open connection keeps a network namespace for minutes, even without a process in it.
    subprocess.run(
        command("ip", "link", "delete", _link(folder.name)), capture_output=True, check=False
    )
    deadline = time.monotonic() + _LEAVE_SECONDS
    while not _without_control_groups(folder.name) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _without_control_groups(name: str) -> bool:
    tops = [path for path in (_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")) if path.is_dir()]
    for top in tops:
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):  # still in use
                Path(folder).rmdir()
    return not any(path.exists() for path in tops)
