"""Processes that are isolated from this machine and leave nothing on it.

All processes of a node or a Docker daemon live in their own Linux namespaces:
processes, mounts and, optionally, network. Their first process ends with
ours, however that ends. Linux then ends all others in the namespaces, and removes
their mounts and iptables rules. `state.py` handles what may stay after a crash.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kubernetes.machine import command, environment
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

# The first process: it prepares, reports that, and then only reaps orphaned processes.
_FIRST = "{prepare}\necho ready\nexec >/dev/null\nsleep infinity &\nwhile :; do wait; done\n"


class Namespaces:
    """Namespaces that exist between `start` and `stop`.

    Args:
        prepare: Shell script that runs in them first: mounts, settings of the network.
        network: Whether they include a network namespace.

    """

    def __init__(self, prepare: str, *, network: bool) -> None:
        self._prepare = prepare
        self._kinds = ["--pid", "--mount", *(["--net", "--ipc", "--uts"] if network else [])]
        self._process: subprocess.Popen[str] | None = None
        self.pid = 0
        """Id of the first process, as seen from outside; 0 if there is none."""

    def start(self) -> None:
        """Create them, and return when they are prepared.

        Raises:
            OSError: The script failed; the text is its output.

        """
        script = _FIRST.format(prepare=f"set -e\n{self._prepare}\nset +e")
        self._process = subprocess.Popen(
            # With all processes that it started, by the kernel.
            command(
                "unshare",
                *self._kinds,
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
                "sh",
                "-c",
                script,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
        )
        said = []
        assert self._process.stdout is not None  # noqa: S101 - stdout is a pipe
        for line in self._process.stdout:
            if line == "ready\n":
                self.pid = _child_of(self._process.pid)
                return
            said.append(line)
        raise OSError(f"Linux makes no namespaces for a node: {''.join(said).strip()}")

    def stop(self) -> None:
        """End every process in them; everything else ends with these."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process, self.pid = None, 0

    def inside(self, words: Sequence[str]) -> list[str]:
        """Return the command that runs another command in them."""
        kinds = [kind for kind in self._kinds if kind != "--uts"]
        return command("nsenter", f"--target={self.pid}", *kinds, "--", *words)


def _child_of(parent: int) -> int:
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text(encoding="ascii", errors="replace")
        except OSError:  # the process has ended
            continue
        if f"\nPPid:\t{parent}\n" in text:
            return int(status.parent.name)
    raise OSError(f"process {parent} has no child")
