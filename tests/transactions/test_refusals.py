"""What is refused, and why."""

from __future__ import annotations

import time

import msgspec
import pytest

from services.transactions import Reason, printable, reject
from tests.transactions.corpus import CASES, Case, transaction
from tests.transactions.reading import SCHEMA, read, reason

BY_NAME = {case.name: case for case in CASES}

cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@cases
def test_each_case_has_its_stated_read(case: Case) -> None:
    assert reason(case.value, time.time_ns() // 1_000_000) == case.outcome


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.outcome], ids=[c.name for c in CASES if c.outcome]
)
def test_a_detail_is_short_and_printable(case: Case) -> None:
    detail = read(case.value).detail
    assert 0 < len(detail) <= 200
    assert detail.isprintable()


def test_the_corpus_has_many_kinds_under_names_of_their_own() -> None:
    assert len(BY_NAME) == len(CASES) >= 60


def test_the_corpus_has_cases_of_every_reason_of_the_built_in_schema() -> None:
    # These need a schema of their own, transactions before it, or more than a value.
    elsewhere = {
        Reason.NOT_ALLOWED,
        Reason.TIMESTAMP_TOO_LATE,
        Reason.OUTPUT_REFUSED,
        Reason.UNREADABLE_HEADERS,
        Reason.UNREADABLE_BATCH,
    }
    assert {c.outcome for c in CASES if c.outcome} == set(Reason) - elsewhere


def test_of_duplicate_fields_the_last_wins() -> None:
    assert read(BY_NAME["duplicate field"].value).source == "carol"


def test_an_escaped_nul_is_kept() -> None:
    assert read(BY_NAME["escaped NUL in a name"].value).source == "a\0b"


def test_a_null_is_as_good_as_a_missing_field() -> None:
    assert read(transaction(merchant="null")).merchant is None


@pytest.mark.parametrize("name", ["source", "target", "amount", "currency"])
def test_a_missing_field_is_named(name: str) -> None:
    assert f"`{name}`" in read(transaction(**{name: None})).detail


@pytest.mark.parametrize("name", ["source", "amount", "currency", "ip"])
def test_a_field_of_the_wrong_type_is_named(name: str) -> None:
    assert read(transaction(**{name: "[]"})).detail.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("1714564800", "; it looks like seconds"),
        ("1714564800000000", "; it looks like microseconds"),
        ("1714564800000000000", "; it looks like nanoseconds"),
        ("17145648", "on"),
        ('"1714564800"', "on"),
    ],
)
def test_a_timestamp_in_another_unit_is_told_so(raw: str, said: str) -> None:
    expected = "expected RFC 3339 with an offset, or epoch milliseconds, from 2000-01-01 "
    detail = read(transaction(timestamp=raw)).detail
    assert detail == f"timestamp: found {raw}, {expected}on{said.removeprefix('on')}"


@pytest.mark.parametrize(
    ("field", "raw", "detail"),
    [
        ("amount", "-1", "found -1, expected a number > 0.0 and <= 1000000000000.0"),
        ("amount", '"12"', 'found "12", expected a number > 0.0 and <= 1000000000000.0'),
        ("source", "null", "found null, expected a text of 1 to 256 characters"),
        ("country", '"DEU"', 'found "DEU", expected a text of 2 characters'),
        ("channel", "[ 1 ]", "found [ 1 ], expected a text of 0 to 64 characters"),
        ("currency", '"usd"', 'found "usd", expected an ISO 4217 code in capitals, as in USD'),
    ],
)
def test_a_detail_says_what_was_found_and_what_was_expected(
    field: str, raw: str, detail: str
) -> None:
    assert read(transaction(**{field: raw})).detail == f"{field}: {detail}"


def test_look_alike_letters_are_shown_for_what_they_are() -> None:
    detail = read(BY_NAME["look-alike currency"].value).detail
    assert r'found "\u0415UR"' in detail


def test_a_detail_carries_only_a_glimpse_of_a_value() -> None:
    assert read(BY_NAME["megabyte known text"].value).detail.count("x") < 70


def test_the_last_of_two_values_is_the_one_that_is_shown() -> None:
    assert "found -1," in read(BY_NAME["duplicate field, last wrong"].value).detail


def test_an_error_of_the_decoder_that_is_not_known_is_still_a_refusal() -> None:
    error = msgspec.ValidationError("Something new\n" + "x" * 500)
    rejection = reject(SCHEMA, transaction(), error)
    assert rejection.reason == Reason.WRONG_TYPE
    assert (len(rejection.detail), rejection.detail.isprintable()) == (200, True)


@pytest.mark.parametrize("error", [OverflowError("too large\0"), ValueError("4300 digits")])
def test_any_other_exception_is_a_refusal(error: Exception) -> None:
    rejection = reject(SCHEMA, transaction(), error)
    assert rejection.reason == Reason.MALFORMED_JSON
    assert rejection.detail.isprintable()


def test_running_out_of_recursion_is_the_values_fault() -> None:
    assert reject(SCHEMA, transaction(), RecursionError()).reason == Reason.TOO_DEEP


@pytest.mark.parametrize("value", [transaction(), b"", None])
def test_running_out_of_memory_is_not_the_values_fault(value: bytes | None) -> None:
    error = MemoryError()
    with pytest.raises(MemoryError) as caught:
        reject(SCHEMA, value, error)
    assert caught.value is error


def test_a_text_that_is_shortened_says_so() -> None:
    assert printable("x" * 201) == "x" * 199 + "…"


def test_control_characters_become_replacement_characters() -> None:
    assert printable("a\x1b[31m\u202eb\n") == "a\ufffd[31m\ufffdb\ufffd"
