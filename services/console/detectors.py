"""Which detectors there are, and what each of them answers."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import httpx2
import msgspec

from services.console.samples import Sample, read_sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.console.settings import Endpoint

# A detector answers in milliseconds; one that does not must not hold up the page.
ANSWER_SECONDS = 2.0
# One that is silent, and that no name stands for any more, was taken away: so long it is told of.
REMEMBER_SECONDS = 600.0


class Known(msgspec.Struct):
    """A detector: its last answer, and since when (seconds of the epoch) and why it is silent."""

    address: str
    sample: Sample | None = None
    silent_since: float | None = None
    said: str = ""

    @property
    def answers(self) -> bool:
        """Whether it did when it was last asked."""
        return self.silent_since is None


class Unknown(msgspec.Struct):
    """A name that stands for no address: since when (seconds of the epoch), and why."""

    host: str
    since: float
    said: str


class Detectors:
    """Asks all detectors, time and again.

    Args:
        endpoints: of their status endpoints. Names are looked up at each round.

    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = list(endpoints)
        self.known: dict[str, Known] = {}
        self.unknown: dict[str, Unknown] = {}

    async def round(self, http: httpx2.AsyncClient, now: float) -> list[str]:
        """Look names up and ask every detector.

        Args:
            http: asks them.
            now: seconds of the epoch.

        Returns:
            The addresses of those that are forgotten from here on.

        """
        found = await asyncio.gather(*(self._look_up(e, now) for e in self._endpoints))
        there = {address for addresses in found for address in addresses}
        for address in sorted(there - self.known.keys()):
            self.known[address] = Known(address)
        await asyncio.gather(*(self._ask(http, one, now) for one in self.known.values()))
        gone = [
            one.address
            for one in self.known.values()
            if one.silent_since is not None
            and one.address not in there
            and now - one.silent_since >= REMEMBER_SECONDS
        ]
        for address in gone:
            del self.known[address]
        return gone

    async def _look_up(self, endpoint: Endpoint, now: float) -> set[str]:
        host, port = endpoint
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                # Status endpoints listen on IPv4.
                found = await loop.getaddrinfo(
                    host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
                )
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or "it cannot be looked up"
            since = self.unknown[host].since if host in self.unknown else now
            self.unknown[host] = Unknown(host, since, said)
            return set()
        self.unknown.pop(host, None)
        return {":".join(map(str, address)) for *_, address in found}

    async def _ask(self, http: httpx2.AsyncClient, one: Known, now: float) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                metrics, ruleset = await asyncio.gather(
                    http.get(f"http://{one.address}/metrics"),
                    http.get(f"http://{one.address}/ruleset"),
                )
            metrics.raise_for_status()
            ruleset.raise_for_status()
            one.sample = read_sample(metrics.text, ruleset.content)
        except (TimeoutError, httpx2.HTTPError, ValueError, KeyError) as error:
            one.said = _words(error)
            if one.silent_since is None:
                one.silent_since = now
        else:
            one.silent_since, one.said = None, ""


def _words(error: Exception) -> str:
    match error:
        case httpx2.HTTPStatusError():
            return f"it answers {error.response.status_code} for {error.request.url.path}"
        case TimeoutError() | httpx2.TimeoutException():
            return f"no answer within {ANSWER_SECONDS:.0f} s"
        case httpx2.ConnectError():
            return "no connection to it"
        case httpx2.HTTPError():
            return f"the connection broke ({type(error).__name__})"
        case _:
            return "it answers, but not as a detector does"
