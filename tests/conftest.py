"""What all tests share."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["tests.kafka_fixtures"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> object:
    """In CI a skipped test is a failed one: what cannot run there is not tested."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
