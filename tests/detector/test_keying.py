from __future__ import annotations

from typing import Any

import pytest

from services.detector.keying import SAMPLES, Keying
from services.detector.reading import Reader
from services.transactions import load_schema
from tests.detector.records import batch, record

READER = Reader(load_schema(None), max_future_ms=0, max_late_ms=0)


def sampled(field: str, key: bytes | None, times: int = 1, **fields: Any) -> dict[str, Any]:
    keying = Keying(field)
    for n in range(times):
        made = batch(record(n, key=key, **fields))
        keying.sample(made, READER.read(made, {0: READER.stream_time(0)}))
    return keying.page()


@pytest.mark.parametrize(
    ("field", "key", "mismatched"),
    [
        ("source", b"a", 0),
        ("source", b"b", 1),
        ("source", None, 1),
        ("target", b"b", 0),
        ("amount", b"1.0", 0),
        ("merchant", None, 0),
        ("merchant", b"shop", 1),
    ],
)
def test_a_key_is_compared_with_its_field(field: str, key: bytes | None, mismatched: int) -> None:
    assert sampled(field, key) == {"field": field, "sampled": 1, "mismatched": mismatched}


def test_a_topic_without_keys_is_not_sampled() -> None:
    assert sampled("none", b"x")["sampled"] == 0


def test_a_producer_that_was_mended_is_forgiven() -> None:
    keying = Keying("source")
    for n in range(SAMPLES + 5):
        made = batch(record(n, key=b"other" if n < 5 else b"a"))
        keying.sample(made, READER.read(made, {0: READER.stream_time(0)}))
    assert keying.page() == {"field": "source", "sampled": SAMPLES, "mismatched": 0}


def test_any_of_a_batch_may_be_the_sample() -> None:
    keying = Keying("source")
    made = batch(*(record(n, key=b"other" if n == 3 else b"a") for n in range(5)))
    for _ in range(5):
        keying.sample(made, READER.read(made, {0: READER.stream_time(0)}))
    assert keying.mismatched == 1


def test_what_is_no_transaction_is_no_sample() -> None:
    keying = Keying("source")
    made = batch(record(0, key=b"x", value=b"{"), record(1, key=b"a"))
    keying.sample(made, READER.read(made, {0: READER.stream_time(0)}))
    assert keying.page() == {"field": "source", "sampled": 1, "mismatched": 0}
