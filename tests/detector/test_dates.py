"""Dates on the detector's page."""

from __future__ import annotations

import pytest

from services.detector.__main__ import _date


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (1_767_268_800_000, "2026-01-01T12:00:00+00:00"),
        (1_767_268_800_000_000, "9999-12-31T23:59:59+00:00"),  # microseconds
        (-(1 << 63), "0001-01-01T00:00:00+00:00"),
    ],
)
def test_any_timestamp_is_shown_as_a_date(ms: int, shown: str) -> None:
    assert _date(ms) == shown
