"""Read a page of a status endpoint, with limits on time and size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

# A detector with a ruleset of the maximum size, 1 MB, answers with less than 2 MB.
MOST_BYTES = 8 * 1024 * 1024


class PageTooLargeError(ValueError):
    """A page is larger than that of any detector."""


async def fetch(http: httpx2.AsyncClient, url: str, seconds: float) -> bytes:
    """Read a page.

    The timeouts of the client apply to each read, so an answer of one byte at a time could last for
    ever. Here the whole answer must arrive in time.

    Args:
        http: Client that sends the request.
        url: Address of the page.
        seconds: Time limit of the whole answer, in seconds.

    Raises:
        TimeoutError: The answer was not complete in time.
        PageTooLargeError: The answer has more than MOST_BYTES.
        httpx2.HTTPError: There is no answer, or its status is an error.

    """
    body = bytearray()
    async with asyncio.timeout(seconds):
        # A compressed answer could have any size.
        plain = {"Accept-Encoding": "identity"}
        async with http.stream("GET", url, headers=plain) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise PageTooLargeError(f"its page has more than {MOST_BYTES} bytes")
    return bytes(body)
