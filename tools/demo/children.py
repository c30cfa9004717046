"""The demo's services as real processes: start, port of the status endpoint, stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from services.errors import UserError
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from pathlib import Path

# Seen: 3 s and 1 s on two idle cores. The rest is a reserve for a busy machine.
START_SECONDS = 120.0
STOP_SECONDS = 120.0


class ChildError(UserError):
    """A service exited by itself; the text has the end of its log."""


class Child:
    """One service as a process, with its log in a file."""

    def __init__(self, service: str, folder: Path, environment: dict[str, str]) -> None:
        self.service = service
        self.log = folder / f"{service}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env={**os.environ, **environment, "STATUS_PORT": "0"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C goes to the demo, which stops its services
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
            )
        self.port = int(self._said("started")["status_port"])

    def check(self) -> None:
        """Check that it runs.

        Raises:
            ChildError: It does not run.

        """
        if self._process.poll() is not None:
            tail = "\n".join(self.log.read_text(encoding="utf-8").rstrip().split("\n")[-5:])
            raise ChildError(f"the {self.service} ended ({self._process.returncode}):\n{tail}")

    def stop(self) -> int:
        """Stop it with SIGTERM, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.returncode

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def last(self, event: str) -> dict[str, Any]:
        """Return its last log line of an event, or {}."""
        found: dict[str, Any] = {}
        for line in self.log.read_text(encoding="utf-8").split("\n"):
            if f'"event": "{event}"' in line:
                found = json.loads(line)
        return found

    def _said(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if found := self.last(event):
                return found
            time.sleep(0.05)
        raise ChildError(f"the {self.service} did not log {event!r} within {START_SECONDS:.0f} s")
