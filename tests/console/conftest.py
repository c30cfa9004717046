"""A real browser for the tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.browser import Browser, BrowserError, chromium

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where no browser is, say so in one line: pytest folds skips of one place."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


@pytest.fixture(scope="session")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        chromium()
    except BrowserError as error:
        pytest.skip(f"no browser here: {error}")
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(_browser: Browser) -> Iterator[Browser]:
    """One browser for all tests, at a desk, which has to have nothing to complain about."""
    _browser.look(1280)
    _browser.events.clear()
    yield _browser
    complaints = [e for e in _browser.events if e["method"] in _COMPLAINTS]
    _browser.open("data:,")
    assert not complaints


_COMPLAINTS = {"Log.entryAdded", "Runtime.exceptionThrown"}
