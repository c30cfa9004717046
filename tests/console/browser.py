"""A real browser: Debian's chromium, driven by its DevTools protocol over a pair of pipes.

With --remote-debugging-pipe it reads commands from file descriptor 3 and answers on 4, as JSON
with a zero byte at the end of each: nothing listens, and no driver is needed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from tests.support.streaming import until
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_SECONDS = 180.0
# Gives the browser its pipes as 3 and 4, whatever they are called here.
_START = (
    "import os, sys; r, w, *run = sys.argv[1:]; "
    "os.dup2(int(r), 3); os.dup2(int(w), 4); os.execvp(run[0], run)"
)
_OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
)


class BrowserError(Exception):
    """The browser is not there, or does not do what it was told."""


def chromium() -> str:
    """Find the browser.

    Raises:
        BrowserError: there is none.

    """
    if found := shutil.which("chromium"):
        return found
    raise BrowserError("no chromium; install Debian's packages chromium and fonts-dejavu-core")


class Browser:
    """One page in a browser, which ends with the `with` block.

    Args:
        folder: for its profile.

    """

    def __init__(self, folder: Path) -> None:
        self._program = chromium()
        self._folder = folder
        self._buffer = b""
        self._numbers = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        """What it told unasked: its log, exceptions, failed loads."""

    def __enter__(self) -> Self:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (to_read, to_write)]
        # As root it cannot shut itself in.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        profile = f"--user-data-dir={self._folder}"
        run = [self._program, *_OPTIONS, *sandbox, profile, "about:blank"]
        with (self._folder / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *map(str, ends), *run],
                pass_fds=ends,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        for fd in (to_read, to_write, *ends):
            os.close(fd)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)  # which ends it
        try:
            self._process.wait(ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    def look(self, width: int, scheme: str = "light", height: int = 900) -> None:
        """Be a screen of a width in CSS pixels, with a colour scheme; a phone below 600."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._call("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._call("Page.navigate", url=url)
        until(
            lambda: (
                self.run("location.href !== 'about:blank' && document.readyState") == "complete"
            ),
            url,
        )

    def run(self, script: str) -> Any:
        """Give the value of an expression in the page."""
        done = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise BrowserError(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **told)
        self._call("Input.dispatchKeyEvent", type="keyUp", **told)

    def picture(self, *, whole: bool = False) -> bytes:
        """Take a picture (PNG) of what is seen, or of the whole page."""
        taken = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])

    def accessible(self) -> list[dict[str, Any]]:
        """What the page is to a screen reader: its accessibility tree, without what is ignored."""
        nodes: list[dict[str, Any]] = self._call("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._numbers += 1
        told: dict[str, Any] = {"id": self._numbers, "method": method, "params": parameters}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._to, json.dumps(told).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            heard = self._hear(deadline)
            if heard.get("id") == self._numbers:
                if "error" in heard:
                    raise BrowserError(f"{method}: {heard['error']}")
                result: dict[str, Any] = heard["result"]
                return result
            self.events.append(heard)

    def _hear(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise BrowserError(f"no answer within {ANSWER_SECONDS:.0f} s: {self._log()}")
            more = os.read(self._from, 1 << 20)
            if not more:
                raise BrowserError(f"the browser has ended: {self._log()}")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        heard: dict[str, Any] = json.loads(message)
        return heard

    def _log(self) -> str:
        return (self._folder / "browser.log").read_text(encoding="utf-8", errors="replace")[-2000:]
