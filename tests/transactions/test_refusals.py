"""What is refused and why, and when a transaction happened."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.transactions import (
    Reason,
    Refusal,
    Schema,
    load_schema,
    printable,
    refuse,
    settle_event_times,
)
from tests.transactions.corpus import CASES, Case, transaction

SCHEMA = load_schema(None)
MAX_FUTURE_MS = 300_000
RECORD_MS = 1_750_000_000_123
BY_NAME = {case.name: case for case in CASES}


def read(schema: Schema, value: bytes | None, record_ms: int = RECORD_MS) -> Any:
    """Give the struct of a value, or its refusal, as the detector would find it."""
    try:
        decoded = schema.decode(value)  # type: ignore[arg-type] # a tombstone is refused too
    except Exception as error:  # noqa: BLE001 - what comes is what is tested
        return refuse(schema, value, error)
    refused = settle_event_times(schema, [decoded], [record_ms], MAX_FUTURE_MS)
    return refused[0][1] if refused else decoded


def outcome(value: bytes | None, record_ms: int = RECORD_MS) -> Any:
    """Read a value with the built-in schema."""
    return read(SCHEMA, value, record_ms)


def event_time(raw: str | None, record_ms: int = RECORD_MS) -> Any:
    """Give the event time that raw JSON settles to, or the reason of its refusal."""
    found = outcome(transaction(timestamp=raw), record_ms)
    return found.reason if isinstance(found, Refusal) else found.timestamp


cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@cases
def test_each_case_has_its_stated_outcome(case: Case) -> None:
    found = outcome(case.value, time.time_ns() // 1_000_000)
    assert (found.reason if isinstance(found, Refusal) else None) == case.outcome


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.outcome], ids=[c.name for c in CASES if c.outcome]
)
def test_a_detail_is_short_and_printable(case: Case) -> None:
    detail = outcome(case.value).detail
    assert 0 < len(detail) <= 200
    assert detail.isprintable()


def test_the_corpus_has_many_kinds_under_names_of_their_own() -> None:
    assert len(BY_NAME) == len(CASES) >= 60


def test_the_corpus_has_cases_of_every_reason_of_the_built_in_schema() -> None:
    needs_a_schema_of_its_own = {Reason.NOT_ALLOWED}
    assert {c.outcome for c in CASES if c.outcome} == set(Reason) - needs_a_schema_of_its_own


def test_of_duplicate_fields_the_last_wins() -> None:
    assert outcome(BY_NAME["duplicate field"].value).source == "carol"


def test_an_escaped_nul_is_kept() -> None:
    assert outcome(BY_NAME["escaped NUL in a name"].value).source == "a\0b"


def test_a_null_is_as_good_as_a_missing_field() -> None:
    assert outcome(transaction(merchant="null")).merchant is None


@pytest.mark.parametrize("name", ["source", "target", "amount", "currency"])
def test_a_missing_field_is_named(name: str) -> None:
    assert f"`{name}`" in outcome(transaction(**{name: None})).detail


@pytest.mark.parametrize("name", ["source", "amount", "currency", "ip"])
def test_a_field_of_the_wrong_type_is_named(name: str) -> None:
    assert outcome(transaction(**{name: "[]"})).detail.startswith(f"{name}: ")


def test_a_timestamp_in_seconds_is_told_so() -> None:
    assert "may be seconds" in outcome(transaction(timestamp="1714564800")).detail


def test_a_transaction_far_ahead_says_how_far() -> None:
    detail = outcome(transaction(timestamp=str(RECORD_MS + 3_600_000))).detail
    assert "3600 s after" in detail


# Properties.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
near_transactions = st.fixed_dictionaries(
    {},
    optional={field.name: json_values for field in SCHEMA.fields},
).map(lambda fields: json.dumps(fields).encode())
mutilated = st.builds(
    lambda value, at, with_: value[: at % len(value)] + with_ + value[at % len(value) :],
    st.just(transaction(timestamp='"2024-05-01T12:00:00Z"', ip='"::1"')),
    st.integers(min_value=0, max_value=1_000),
    st.binary(min_size=1, max_size=4),
)


@given(st.binary() | st.text().map(str.encode) | near_transactions | mutilated)
@example(b"[" * 100_000)
def test_any_bytes_give_a_transaction_or_a_refusal(value: bytes) -> None:
    assert isinstance(outcome(value), (SCHEMA.struct, Refusal))


@given(st.binary() | near_transactions | mutilated)
def test_any_refusal_is_short_and_printable(value: bytes) -> None:
    found = outcome(value)
    detail = found.detail if isinstance(found, Refusal) else "accepted"
    assert 0 < len(detail) <= 200
    assert detail.isprintable()


amounts = st.integers() | st.floats(-10, 2e12)
bounded_fields = st.fixed_dictionaries(
    {
        "source": st.text(max_size=300),
        "target": st.text(max_size=3),
        "amount": amounts,
        "currency": st.sampled_from(["EUR", "USD", "eur", "XAU"]),
    },
    optional={"country": st.text(max_size=3) | st.none()},
)


@given(bounded_fields)
def test_a_transaction_is_accepted_exactly_when_it_keeps_the_bounds(fields: dict[str, Any]) -> None:
    keeps = (
        1 <= len(fields["source"]) <= 256
        and len(fields["target"]) >= 1
        and 0 < fields["amount"] <= 1e12
        and fields["currency"] in {"EUR", "USD"}
        and (fields.get("country") is None or len(fields["country"]) == 2)
    )
    assert isinstance(outcome(json.dumps(fields).encode()), SCHEMA.struct) == keeps


@given(st.integers(min_value=0, max_value=1_000))
def test_every_cut_of_a_transaction_is_refused(at: int) -> None:
    whole = transaction(merchant='"é"', timestamp='"2024-05-01T12:00:00Z"')
    assert isinstance(outcome(whole[: at % len(whole)]), Refusal)


@given(st.text())
def test_printable_text_is_short_and_printable(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 200


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Z")), max_size=200))
def test_a_short_printable_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


def test_a_text_that_is_shortened_says_so() -> None:
    assert printable("x" * 201) == "x" * 199 + "…"


def test_control_characters_become_replacement_characters() -> None:
    assert printable("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"


# Event times.


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
    refused = settle_event_times(SCHEMA, batch, [0, RECORD_MS], MAX_FUTURE_MS)
    assert refused == []


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
    refused = settle_event_times(SCHEMA, batch, [RECORD_MS] * len(raws), MAX_FUTURE_MS)
    assert [(i, refusal.reason) for i, refusal in refused] == [
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
