"""A machine within the machine: processes that see and leave nothing of the one around them.

All that a node or a Docker daemon starts lives in Linux namespaces of its own:
processes, mounts and, where asked for, network. Their first process ends with
ours, however that ends, and Linux then ends all others in there, and removes
their mounts and iptables rules. What may stay after a crash is in `state.py`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from services.local_kubernetes.machine import command, environment
from services.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

# The first process: it prepares, says so, and then only waits for orphans that it has to bury.
_FIRST = "{prepare}\necho ready\nexec >/dev/null\nsleep infinity &\nwhile :; do wait; done\n"


class Namespaces:
    """Namespaces that are there between `start` and `stop`.

    Args:
        prepare: a shell script, run first in there: mounts, settings of the network.
        network: whether they have a network of their own.

    """

    def __init__(self, prepare: str, *, network: bool) -> None:
        self._prepare = prepare
        self._kinds = ["--pid", "--mount", *(["--net", "--ipc", "--uts"] if network else [])]
        self._process: subprocess.Popen[str] | None = None
        self.pid = 0
        """Of the first process, as seen from outside; 0 while there is none."""

    def start(self) -> None:
        """Make them, and return when they are prepared.

        Raises:
            OSError: it failed; the text is what the script said.

        """
        script = _FIRST.format(prepare=f"set -e\n{self._prepare}\nset +e")
        self._process = subprocess.Popen(
            # With all that it started, by the kernel.
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
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, nothing that locks
        )
        said = []
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            if line == "ready\n":
                self.pid = _child_of(self._process.pid)
                return
            said.append(line)
        raise OSError(f"Linux makes no namespaces for a node: {''.join(said).strip()}")

    def stop(self) -> None:
        """End every process in there; the rest goes with them."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process, self.pid = None, 0

    def inside(self, words: Sequence[str]) -> list[str]:
        """Give the command that runs another one in there."""
        kinds = [kind for kind in self._kinds if kind != "--uts"]
        return command("nsenter", f"--target={self.pid}", *kinds, "--", *words)


def _child_of(parent: int) -> int:
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text(encoding="ascii", errors="replace")
        except OSError:  # it has ended
            continue
        if f"\nPPid:\t{parent}\n" in text:
            return int(status.parent.name)
    raise OSError(f"process {parent} has no child")
