"""`python -m services.console`: serve a page about the detectors until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

import httpx2
import msgspec
import structlog

from services.console.detectors import Detectors
from services.console.figures import Figures
from services.console.frauds import Fraud, fraud_of
from services.console.hosts import host_check
from services.console.latest import Latest
from services.console.settings import ConsoleSettings, endpoints
from services.console.state import state_of
from services.telemetry import Heartbeat, StatusServer, run_service

log = structlog.get_logger()

# Interval of the requests to the detectors, however many people look at the page.
ROUND_SECONDS = 1.0
STANDSTILL_SECONDS = 30.0
FRAUDS = 20

_PAGE = Path(__file__).with_name("page")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def main() -> int:
    """Run the console; the exit code is 0 after SIGTERM or SIGINT."""
    return run_service("console", ConsoleSettings, _work)


def _work(settings: ConsoleSettings) -> int:
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each request
    asyncio.run(Console(settings).run())
    log.info("stopped")
    return 0


class Console:
    """All parts of the console."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._detectors = Detectors(endpoints(settings.detectors))
        self._figures = Figures()
        self._frauds: Latest[Fraud] = Latest(settings, settings.fraud_topic, FRAUDS, fraud_of)
        self._heartbeat = Heartbeat(STANDSTILL_SECONDS)
        self._page = b""

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            SettingError: The port is in use.

        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=None), trust_env=False
        ) as http:
            await self._round(http)
            status = StatusServer(
                self._settings.status_port,
                live=self._live,
                ready=lambda: None,
                pages={"/state": lambda: self._page},
                files=page_files(),
                check_host=host_check(
                    [name.strip() for name in self._settings.allowed_hosts.split(",")]
                ),
            )
            port = status.start()
            self._frauds.start()
            log.info("started", status_port=port)
            try:
                while not stop.is_set():
                    try:
                        async with asyncio.timeout(ROUND_SECONDS):
                            await stop.wait()
                    except TimeoutError:
                        await self._round(http)
            finally:
                self._frauds.stop()
                status.stop()

    async def _round(self, http: httpx2.AsyncClient) -> None:
        """Ask all detectors once, and update the page's state."""
        detectors, figures = self._detectors, self._figures
        for address in await detectors.round(http, time.time()):
            figures.forget(address)
        for one in detectors.known.values():
            if one.answers and one.sample is not None:
                figures.add(one.address, one.sample.counts)
        self._heartbeat.tick()
        figures.tick(time.monotonic())
        state = state_of(
            at=time.time(),
            rates=figures.rates(),
            totals=figures.totals,
            known=detectors.known.values(),
            unknown=detectors.unknown.values(),
            frauds=self._frauds.records,
            trouble=self._frauds.trouble,
        )
        self._page = msgspec.json.encode(state)

    def _live(self) -> str | None:
        if not self._frauds.is_alive():
            return "the reader of frauds has ended"
        return self._heartbeat.standstill()


def page_files() -> dict[str, tuple[str, bytes]]:
    """Return the files for the browser, by path, with content types."""
    found = {f"/{file.name}": (_TYPES[file.suffix], file.read_bytes()) for file in _PAGE.iterdir()}
    return {"/": found.pop("/index.html"), **found}


if __name__ == "__main__":
    sys.exit(main())
