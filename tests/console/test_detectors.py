from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from services.console.detectors import REMEMBER_SECONDS, Detectors, Known
from services.console.settings import Endpoint
from services.telemetry import StatusServer, metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = b'{"hash": "0a", "inForce": {}, "rules": []}'


@contextmanager
def detector(page: Callable[[], bytes] = lambda: PAGE) -> Iterator[Endpoint]:
    """A status endpoint as a detector has one."""
    server = StatusServer(
        0,
        live=lambda: None,
        ready=lambda: None,
        pages={"/ruleset": page},
        registry=metrics.DETECTOR,
    )
    port = server.start()
    try:
        yield Endpoint("127.0.0.1", port)
    finally:
        server.stop()


def ask(detectors: Detectors, now: float = 100.0) -> list[str]:
    """Make a round at a time, and give who is forgotten."""

    async def once() -> list[str]:
        async with httpx2.AsyncClient(trust_env=False) as http:
            return await detectors.round(http, now)

    return asyncio.run(once())


def only(detectors: Detectors) -> Known:
    (found,) = detectors.known.values()
    return found


def test_a_detector_that_answers_is_read() -> None:
    with detector() as endpoint:
        detectors = Detectors([endpoint])
        assert ask(detectors) == []
    found = only(detectors)
    assert found.address == f"127.0.0.1:{endpoint.port}"
    assert found.answers
    assert found.sample is not None
    assert found.sample.page.hash == "0a"


def fail() -> bytes:
    raise KeyError("rule")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (lambda: b"<html>", "it answers, but not as a detector does"),
        (lambda: b'{"hash": 5}', "it answers, but not as a detector does"),
        (fail, "it answers 500 for /ruleset"),
    ],
)
def test_what_answers_otherwise_is_none_and_it_is_said_why(
    page: Callable[[], bytes], said: str
) -> None:
    with detector(page) as endpoint:
        detectors = Detectors([endpoint])
        ask(detectors)
    assert (only(detectors).answers, only(detectors).said) == (False, said)


def test_silence_is_told_from_when_it_began_until_it_ends() -> None:
    answers = iter([PAGE, b"", b"", PAGE])
    with detector(lambda: next(answers)) as endpoint:
        detectors = Detectors([endpoint])
        since = []
        for now in (1.0, 2.0, 3.0, 4.0):
            ask(detectors, now)
            since.append(only(detectors).silent_since)
    assert since == [None, 2.0, 2.0, None]


def test_one_that_is_silent_is_kept_while_a_name_stands_for_it_and_then_forgotten() -> None:
    with detector() as endpoint:
        detectors = Detectors([endpoint])
        ask(detectors, 0.0)
    later = 1.0 + REMEMBER_SECONDS
    assert ask(detectors, 1.0) == []
    assert ask(detectors, later) == []
    detectors._endpoints = []
    assert ask(detectors, later - 1) == []
    assert only(detectors).sample is not None
    assert ask(detectors, later) == [f"127.0.0.1:{endpoint.port}"]
    assert not detectors.known


def test_one_that_answers_is_kept_though_no_name_stands_for_it() -> None:
    with detector() as endpoint:
        detectors = Detectors([endpoint])
        ask(detectors, 0.0)
        detectors._endpoints = []
        ask(detectors, 2 * REMEMBER_SECONDS)
        assert only(detectors).answers


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "a..b", "\u00e9" * 70])
def test_a_name_that_stands_for_nothing_is_said_since_when(host: str) -> None:
    detectors = Detectors([Endpoint(host, 8080)])
    ask(detectors, 1.0)
    ask(detectors, 2.0)
    found = detectors.unknown[host]
    assert (found.since, detectors.known) == (1.0, {})
    assert found.said
    detectors._endpoints = []
    assert ask(detectors, 3.0) == []


def test_two_names_of_one_detector_are_one() -> None:
    with detector() as endpoint:
        detectors = Detectors([endpoint, Endpoint("localhost", endpoint.port)])
        ask(detectors)
    assert only(detectors).answers


def test_a_detector_is_reached_by_ipv6() -> None:
    with detector() as endpoint:
        detectors = Detectors([Endpoint("::1", endpoint.port)])
        ask(detectors)
    assert only(detectors).address == f"[::1]:{endpoint.port}"
    assert only(detectors).answers
