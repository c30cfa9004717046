"""What the tests here need of this machine."""

from __future__ import annotations

import pytest

from tests.monitoring.prometheus import PrometheusError, program


@pytest.fixture(scope="session")
def installed() -> None:
    """Prometheus and promtool; a machine without them skips the test and says why."""
    try:
        program("prometheus")
        program("promtool")
    except PrometheusError as error:
        pytest.skip(str(error))
