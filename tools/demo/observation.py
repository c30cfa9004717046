"""The demo's requests to the detector's status endpoint."""

from __future__ import annotations

import urllib.request

from services.console.samples import Sample, read_sample

# A busy machine answers slowly; without an answer for this long the demo ends.
_TIMEOUT_SECONDS = 60.0


def observe(port: int) -> Sample:
    """Read the detector's status endpoint.

    Raises:
        OSError: It does not answer.

    """
    return read_sample(_get(port, "/metrics").decode(), _get(port, "/ruleset"))


def _get(port: int, path: str) -> bytes:
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        body: bytes = response.read()
        return body
