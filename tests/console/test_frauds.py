from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from services.console.frauds import FULL, MOST_REASONS, SHOWN, Fraud, Text, cut, fraud_of, visible

HEADER = "fraud.decision"
MATCH = {
    "rule": "card-testing",
    "generation": 1,
    "mode": "Enforce",
    "action": "Flag",
    "score": 100,
    "severity": "High",
    "reasonCode": "CARD_TESTING",
    "description": "Many small payments.",
    "aggregates": {"smallPayments": 7, "spent": 12.5, "usual": None},
}


def read(value: bytes | None, *headers: tuple[str, bytes | None]) -> Fraud:
    """Read a record as confluent-kafka would give it."""
    more: dict[str, Any] = {"headers": list(headers), "timestamp": (1, 1_700_000_000_500)}
    message = Message(topic="frauds", partition=2, offset=17, value=value, **more)
    return fraud_of(message)


def payment(**changes: Any) -> bytes:
    told = {"source": "alice", "target": "bob", "amount": 1234.5, "currency": "USD", **changes}
    return json.dumps(told).encode()


def explained(*matches: Any, score: Any = 100) -> tuple[str, bytes]:
    told = {"verdict": "fraud", "score": score, "matches": matches, "ruleset": "0a"}
    return HEADER, json.dumps(told).encode()


def test_a_fraud_is_the_payment_and_in_words_why() -> None:
    found = read(payment(), explained(MATCH))
    assert (found.id, found.at) == ("2-17", 1_700_000_000.5)
    assert (found.money.shown, found.source.shown, found.target.shown) == (
        "1,234.50 USD",
        "alice",
        "bob",
    )
    (reason,) = found.reasons
    assert found.score == 100
    assert reason.rule.shown == "card-testing"
    assert reason.description.shown == "Many small payments."
    assert [told.shown for told in reason.told] == [
        "smallPayments 7",
        "spent 12.50",
        "usual without a value",
    ]
    assert (reason.code.shown, reason.effect) == ("CARD_TESTING", "+100")


def test_a_rule_in_shadow_says_that_it_decides_nothing() -> None:
    (reason,) = read(payment(), explained({**MATCH, "mode": "Shadow"})).reasons
    assert reason.effect == "+100, in shadow: decides nothing"


def test_the_last_header_counts_as_it_is_ours() -> None:
    forged = explained({**MATCH, "rule": "forged"})
    assert [r.rule.shown for r in read(payment(), forged, explained(MATCH)).reasons] == [
        "card-testing"
    ]


def test_of_many_reasons_the_first_are_told_and_the_rest_counted() -> None:
    found = read(payment(), explained(*[MATCH] * (MOST_REASONS + 3)))
    assert (len(found.reasons), found.more_reasons) == (MOST_REASONS, 3)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"score": "100", "matches": []}',
        b'{"score": 100, "matches": [{"rule": 5}]}',
    ],
)
def test_an_explanation_that_cannot_be_read_is_none(header: bytes | None) -> None:
    found = read(payment(), (HEADER, header))
    assert (found.score, found.reasons, found.source.shown) == (None, (), "alice")


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[" * 100_000, b'{"amount": 5}', b"5"])
def test_a_value_that_is_no_payment_is_said_to_be_none(value: bytes | None) -> None:
    assert read(value, explained(MATCH)).money == Text("no transaction")


def test_a_long_name_is_cut_in_its_middle_and_its_title_is_bounded() -> None:
    found = cut("a" * 32_768 + "b" * 32_768)
    assert len(found.shown) == SHOWN
    assert len(found.full) == FULL
    for text in (found.shown, found.full):
        assert text.startswith("aaa")
        assert text.endswith("bbb")
        assert "…" in text


def test_a_short_name_is_as_it_is() -> None:
    assert cut("שלום") == Text("שלום")


def test_what_cannot_be_seen_is_written_out() -> None:
    assert visible("a\u202eb\x00c\u2066d\x1b[31m") == r"a\u202eb\u0000c\u2066d\u001b[31m"


@settings(deadline=None)
@given(st.text(max_size=1000))
def test_a_text_is_bounded_and_can_be_seen_whatever_it_is(text: str) -> None:
    found = cut(text)
    assert len(found.shown) <= SHOWN
    assert len(found.full) <= FULL
    assert (found.shown + found.full).isprintable()


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_record_can_be_shown(value: bytes, header: bytes) -> None:
    msgspec.json.encode(read(value, (HEADER, header)))


def test_a_name_of_a_megabyte_takes_no_more_work_than_a_short_one() -> None:
    def calls(length: int) -> int:
        value, header = payment(source="\u202e" * length), explained(MATCH)
        made = 0

        def count(*_: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count)
        try:
            found = read(value, header)
        finally:
            sys.setprofile(None)
        assert len(msgspec.json.encode(found)) < 4000
        return made

    calls(1)  # what the first call alone does is done
    assert calls(1_000_000) <= 2 * calls(1000)
