from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from services.operator.detectors import Detector
from services.operator.reconciler import _ask
from services.telemetry.fetching import MOST_BYTES, PageTooLargeError, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]

# Far more than what is waited for; an answer that never ends would hold the test up.
LONG_SECONDS = 60.0


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """Serve one answer to all that come; the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ruleset"


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever: never so seldom that a read would time out."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)  # between two bytes; the reader gives up and ends it


async def flood(writer: asyncio.StreamWriter) -> None:
    """Send as much as is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def read(answer: Answer, seconds: float) -> bytes:
    async def go() -> bytes:
        async with answering(answer) as url, httpx2.AsyncClient(trust_env=False) as http:
            return await asyncio.wait_for(fetch(http, url, seconds), LONG_SECONDS)

    return asyncio.run(go())


def test_an_answer_of_a_byte_at_a_time_ends_with_its_time() -> None:
    with pytest.raises(TimeoutError):
        read(trickle, 0.5)


def test_an_answer_without_end_ends_with_its_size() -> None:
    with pytest.raises(PageTooLargeError, match=str(MOST_BYTES)):
        read(flood, LONG_SECONDS)


def test_the_operator_goes_on_without_a_detector_of_a_byte_at_a_time() -> None:
    async def ask() -> object:
        async with answering(trickle) as url, httpx2.AsyncClient(trust_env=False) as http:
            detector = Detector(pod="detector-a", uid="1", url=url, refreshed="")
            return await asyncio.wait_for(_ask(http, detector), LONG_SECONDS)

    assert asyncio.run(ask()) == "does not answer within 1 s"
