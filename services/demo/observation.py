"""What the demo asks the detector: its own status endpoint."""

from __future__ import annotations

import urllib.request

from services.console.samples import Sample, read_sample

_TIMEOUT_SECONDS = 2.0


def observe(port: int) -> Sample:
    """Ask the detector's status endpoint.

    Raises:
        OSError: it does not answer.

    """
    return read_sample(_get(port, "/metrics").decode(), _get(port, "/ruleset"))


def _get(port: int, path: str) -> bytes:
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        body: bytes = response.read()
        return body
