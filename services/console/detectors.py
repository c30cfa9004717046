"""Find the detectors, and ask each of them."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from services.console.samples import Sample, read_sample
from services.telemetry.fetching import PageTooLargeError, fetch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.console.settings import Endpoint

# A detector answers in milliseconds; one that does not must not delay the page.
ANSWER_SECONDS = 2.0
# A silent detector whose name no longer resolves was removed: it is still shown for this long.
REMEMBER_SECONDS = 600.0


class Known(msgspec.Struct):
    """A detector: its last answer; if it is silent, since when (seconds of the epoch) and why."""

    address: str
    sample: Sample | None = None
    silent_since: float | None = None
    said: str = ""

    @property
    def answers(self) -> bool:
        """True if it answered the last request."""
        return self.silent_since is None


class Unknown(msgspec.Struct):
    """A name that does not resolve: since when (seconds of the epoch), and why."""

    host: str
    since: float
    said: str


class Detectors:
    """Asks all detectors repeatedly.

    Args:
        endpoints: Their status endpoints. Names are resolved in each round.

    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = list(endpoints)
        self.known: dict[str, Known] = {}
        self.unknown: dict[str, Unknown] = {}

    async def round(self, http: httpx2.AsyncClient, now: float) -> list[str]:
        """Resolve the names and ask every detector.

        Args:
            http: Client for the requests.
            now: Current time in seconds of the epoch.

        Returns:
            The addresses of detectors that are forgotten from now on.

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
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or "it cannot be looked up"
            since = self.unknown[host].since if host in self.unknown else now
            self.unknown[host] = Unknown(host, since, said)
            return set()
        self.unknown.pop(host, None)
        # A detector with an address of each family counts as one.
        family = min(found)[0]
        return {_text(address) for one, *_, address in found if one == family}

    async def _ask(self, http: httpx2.AsyncClient, one: Known, now: float) -> None:
        try:
            metrics, ruleset = await asyncio.gather(
                fetch(http, f"http://{one.address}/metrics", ANSWER_SECONDS),
                fetch(http, f"http://{one.address}/ruleset", ANSWER_SECONDS),
            )
            one.sample = read_sample(metrics.decode(), ruleset)
        except (TimeoutError, httpx2.HTTPError, ValueError, KeyError) as error:
            one.said = _words(error)
            if one.silent_since is None:
                one.silent_since = now
        else:
            one.silent_since, one.said = None, ""


def _text(address: tuple[Any, ...]) -> str:
    """Format an address of IPv4 or IPv6 for a URL."""
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
        case PageTooLargeError():
            return str(error)
        case _:
            return "it answers, but not as a detector does"
