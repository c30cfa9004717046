"""When a transaction happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transactions import Reason, Rejection, settle_event_times
from tests.transactions.corpus import transaction
from tests.transactions.reading import MAX_FUTURE_MS, RECORD_MS, SCHEMA, read, schema_of

if TYPE_CHECKING:
    from pathlib import Path


def event_time(raw: str | None, record_ms: int = RECORD_MS) -> Any:
    """Give the event time that raw JSON settles to, or the reason of its refusal."""
    found = read(transaction(timestamp=raw), record_ms)
    return found.reason if isinstance(found, Rejection) else found.timestamp


def test_a_transaction_far_ahead_says_how_far() -> None:
    detail = read(transaction(timestamp=str(RECORD_MS + 3_600_000))).detail
    assert "3600 s after" in detail


def test_a_missing_event_time_is_the_records() -> None:
    assert event_time(None) == RECORD_MS


def test_a_null_event_time_is_the_records() -> None:
    assert event_time("null") == RECORD_MS


def test_a_missing_event_time_is_the_records_even_before_the_earliest() -> None:
    assert event_time(None, 0) == 0


def test_a_missing_event_time_beside_a_text_is_the_records_even_before_the_earliest() -> None:
    batch = [
        SCHEMA.decode(transaction()),
        SCHEMA.decode(transaction(timestamp='"2024-05-01T12:00:00Z"')),
    ]
    rejected = settle_event_times(SCHEMA, batch, [0, RECORD_MS], MAX_FUTURE_MS)
    assert rejected == []


def test_an_integer_is_taken_as_it_is() -> None:
    assert event_time("1714564800001") == 1_714_564_800_001


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00+00:00",
        "2024-05-01T12:00:00-00:00",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T06:30:00-05:30",
        "2024-05-02T02:00:00+14:00",
    ],
)
def test_an_offset_is_reckoned_with(text: str) -> None:
    assert event_time(f'"{text}"') == 1_714_564_800_000


@given(
    st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2025, 1, 1)),  # noqa: DTZ001
    st.integers(min_value=-23 * 60, max_value=23 * 60),
)
def test_a_text_is_exact_to_the_millisecond(at: datetime, offset_minutes: int) -> None:
    text = at.replace(tzinfo=timezone(timedelta(minutes=offset_minutes))).isoformat()
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert event_time(f'"{text}"') == since // timedelta(milliseconds=1)


@pytest.mark.parametrize("ms", [0, 1, 7, 999])
def test_a_text_and_an_integer_of_the_same_millisecond_are_equal(ms: int) -> None:
    assert event_time(f'"2024-05-01T12:00:00.{ms:03}Z"') == event_time(str(1_714_564_800_000 + ms))


def test_microseconds_are_cut_off() -> None:
    assert event_time('"2024-05-01T12:00:00.001999Z"') == 1_714_564_800_001


def test_the_farthest_allowed_future_is_accepted() -> None:
    assert event_time(str(RECORD_MS + MAX_FUTURE_MS)) == RECORD_MS + MAX_FUTURE_MS


def test_a_millisecond_farther_is_refused() -> None:
    assert event_time(str(RECORD_MS + MAX_FUTURE_MS + 1)) == Reason.TIMESTAMP_IN_FUTURE


def test_a_text_too_far_in_the_future_is_refused() -> None:
    assert event_time('"2025-06-15T15:12:00Z"') == Reason.TIMESTAMP_IN_FUTURE


def test_the_future_is_measured_from_the_record() -> None:
    at = 1_714_564_800_000
    assert event_time(str(at), at - MAX_FUTURE_MS - 1) == Reason.TIMESTAMP_IN_FUTURE


def test_only_what_is_refused_of_a_batch_is_named() -> None:
    raws = [
        None,
        str(RECORD_MS),
        "253402300799999",
        '"2024-05-01T12:00:00Z"',
        '"1999-01-01T00:00:00Z"',
    ]
    batch = [SCHEMA.decode(transaction(timestamp=raw)) for raw in raws]
    rejected = settle_event_times(SCHEMA, batch, [RECORD_MS] * len(raws), MAX_FUTURE_MS)
    assert [(i, rejection.reason) for i, rejection in rejected] == [
        (2, Reason.TIMESTAMP_IN_FUTURE),
        (4, Reason.TIMESTAMP_TOO_OLD),
    ]


def test_the_rest_of_a_batch_with_refusals_is_settled() -> None:
    raws = [None, "253402300799999", '"2024-05-01T12:00:00Z"']
    batch = [SCHEMA.decode(transaction(timestamp=raw)) for raw in raws]
    settle_event_times(SCHEMA, batch, [RECORD_MS] * len(raws), MAX_FUTURE_MS)
    assert (batch[0].timestamp, batch[2].timestamp) == (RECORD_MS, 1_714_564_800_000)


def test_a_batch_and_its_record_timestamps_must_be_as_long() -> None:
    with pytest.raises(ValueError, match="zip"):
        settle_event_times(SCHEMA, [SCHEMA.decode(transaction())], [], MAX_FUTURE_MS)


def test_an_empty_batch_has_nothing_to_refuse() -> None:
    assert settle_event_times(SCHEMA, [], [], MAX_FUTURE_MS) == []


def test_a_text_before_the_earliest_is_refused_even_when_its_record_is_as_old() -> None:
    assert event_time('"1970-01-01T00:00:00Z"', 0) == Reason.TIMESTAMP_TOO_OLD


def test_a_schema_without_an_event_time_refuses_none(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, "fields: [{name: a, type: int}]")
    assert settle_event_times(schema, [schema.decode(b"{}")], [RECORD_MS], MAX_FUTURE_MS) == []
