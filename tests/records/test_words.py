"""Records of the output topics in words, whatever a stranger put into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from services.records.words import dead_letter_of, decision_json, decision_of, record_words

MATCH = {"rule": "r", "mode": "Enforce", "action": "Flag", "score": 100, "reasonCode": "R"}
OURS = {"verdict": "fraud", "score": 100, "matches": [MATCH], "ruleset": "0a"}
FORGED: list[bytes | None] = [
    None,
    b"",
    b"\xff{",
    b"[]",
    b"null",
    b"{}",
    b"[" * 100_000,
    b'{"verdict": 1, "score": 2, "matches": []}',
    b'{"verdict": "fraud", "score": 100, "matches": [{}]}',
    b'{"verdict": "fraud", "score": NaN, "matches": []}',
]


def record(
    *headers: tuple[str, bytes | None], value: bytes | None = b"{}", ms: int = 1_767_268_800_000
) -> Message:
    """A record that was read."""
    more: dict[str, Any] = {"headers": list(headers), "timestamp": (1, ms)}
    return Message(topic="t", partition=0, offset=5, key=None, value=value, **more)


def ours(**changes: Any) -> tuple[str, bytes]:
    return "fraud.decision", json.dumps(OURS | changes).encode()


@pytest.mark.parametrize("forged", FORGED)
def test_a_decision_that_cannot_be_read_is_none_and_is_not_shown(forged: bytes | None) -> None:
    message = record(ours(), ("fraud.decision", forged))
    assert decision_of(message) is None
    assert decision_json(message) is None
    assert record_words(message) == ["12:00:00  {}"]


@pytest.mark.parametrize("forged", FORGED)
def test_only_the_last_decision_counts(forged: bytes | None) -> None:
    message = record(("fraud.decision", forged), ours())
    assert decision_json(message) == OURS
    assert record_words(message) == [
        "12:00:00  {}  fraud, score 100",
        "          R (rule r, +100)",
    ]


def test_dead_letter_headers_count_only_in_the_dead_letter_topic() -> None:
    dead = [
        ("dead-letter.reason", b"tombstone"),
        ("dead-letter.detail", b"the record has no value"),
    ]
    repaired = record(*dead, ours())
    assert record_words(repaired)[0] == "12:00:00  {}  fraud, score 100"
    (first, origin) = record_words(repaired, dead_letter=True)
    assert first == "12:00:00  tombstone: the record has no value"
    assert origin.endswith(": {}")


def test_of_a_dead_letter_header_that_came_with_the_record_ours_is_the_last() -> None:
    headers = [("dead-letter.reason", b"forged"), ("dead-letter.reason", b"tombstone")]
    assert dead_letter_of(record(*headers)) == {"reason": "tombstone"}


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0, "00:00:00"),
        (-1, "23:59:59"),
        (1_767_268_800, "10:54:28"),  # seconds
        (1_767_268_800_000_000, "1767268800000000 ms"),  # microseconds
        (-62_135_596_800_000, "00:00:00"),  # Go's zero
        (-(1 << 63), f"{-(1 << 63)} ms"),
        ((1 << 63) - 1, f"{(1 << 63) - 1} ms"),
    ],
)
def test_a_timestamp_that_is_no_date_is_shown_as_a_number(ms: int, shown: str) -> None:
    assert record_words(record(ms=ms)) == [f"{shown}  {{}}"]


def test_an_amount_of_any_size_is_shown() -> None:
    value = b'{"source": "a", "target": "b", "currency": "USD", "amount": 1%s}' % (b"0" * 400)
    (line,) = record_words(record(value=value))
    assert line.startswith("12:00:00  {")


texts = st.text(max_size=20) | st.sampled_from(["fraud.decision", "dead-letter.reason"])


@given(
    st.lists(st.tuples(texts, st.none() | st.binary(max_size=50)), max_size=4),
    st.none() | st.binary(max_size=50),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.booleans(),
)
def test_any_record_is_shown_without_characters_that_disturb_a_terminal(
    headers: list[tuple[str, bytes | None]], value: bytes | None, ms: int, dead_letter: bool
) -> None:
    message = record(*headers, value=value, ms=ms)
    assert all(line.isprintable() for line in record_words(message, dead_letter=dead_letter))
    json.dumps(decision_json(message), allow_nan=False)
