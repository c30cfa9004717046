"""What a batch of columns holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from services.columns import (
    Booleans,
    Codes,
    Columns,
    Decoder,
    Doubles,
    JsonDecoder,
    Texts,
    Times,
    Whole,
    event_times,
)
from services.columns.kernel import read
from services.columns.words import fill
from services.transactions import Field, Reason, Schema, load_schema
from services.transactions.currencies import DECIMALS
from tests.transactions.corpus import CASES, Case, transaction
from tests.transactions.reading import MAX_FUTURE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = load_schema(None)
OWN = Schema(
    (
        Field(name="payer", type="string", required=True, max_length=4),
        Field(name="cents", type="int"),
        Field(name="trusted", type="bool"),
        Field(name="kind", type="string", enum=("card", "cash")),
        Field(name="booked", type="timestamp"),
    )
)


def decoded(*values: bytes | None, schema: Schema = SCHEMA) -> Columns:
    decoder: Decoder = JsonDecoder(schema)
    return decoder.decode(values)


def test_texts_are_slices_of_one_buffer() -> None:
    columns = decoded(transaction(source='"alice"'), transaction(source='"Zoë"'))
    sources, targets = columns.by_path["source"], columns.by_path["target"]
    assert isinstance(sources, Texts)
    assert isinstance(targets, Texts)
    assert sources.data is targets.data
    assert sources.starts.dtype == sources.lengths.dtype == np.int64
    assert sources.lengths.tolist() == [5, 4]
    assert [sources.value(i) for i in range(2)] == ["alice", "Zoë"]


def test_money_is_an_amount_and_the_code_of_its_currency() -> None:
    columns = decoded(transaction(amount="12.34", currency='"JPY"'))
    amounts = columns.by_path["amount"]
    assert isinstance(amounts, Doubles)
    assert amounts.values.tolist() == [12.34]
    assert amounts.currency == "currency"
    currencies = columns.by_path[amounts.currency]
    assert isinstance(currencies, Codes)
    assert currencies.labels == tuple(sorted(DECIMALS))
    assert currencies.labels[currencies.codes[0]] == currencies.value(0) == "JPY"


def test_fields_of_a_teams_own_schema_have_columns_of_their_types() -> None:
    columns = decoded(
        b'{"payer":"a","cents":-5,"trusted":true,"kind":"cash","booked":1500}',
        b'{"payer":"b","trusted":false,"booked":"1970-01-01T01:00:00.000001+01:00"}',
        schema=OWN,
    )
    kinds = [type(column) for column in columns.by_path.values()]
    assert kinds == [Texts, Whole, Booleans, Codes, Times]
    assert columns.row(0) == {
        "payer": "a",
        "cents": -5,
        "trusted": True,
        "kind": "cash",
        "booked": 1_500_000,
    }
    assert columns.row(1) == {
        "payer": "b",
        "cents": None,
        "trusted": False,
        "kind": None,
        "booked": 1,
    }


def test_a_row_without_a_value_is_not_valid_and_0() -> None:
    columns = decoded(b'{"payer":"a","cents":null}', b'{"payer":"b","cents":7}', schema=OWN)
    cents = columns.by_path["cents"]
    assert isinstance(cents, Whole)
    assert cents.valid.tolist() == [False, True]
    assert cents.values.tolist() == [0, 7]


def test_a_rejected_row_is_empty_in_every_column() -> None:
    bad = b'{"payer":"a","cents":5,"trusted":true,"kind":"cash","booked":5,"booked":"never"}'
    columns = decoded(b'{"payer":"b"}', bad, schema=OWN)
    assert columns.accepted.tolist() == [True, False]
    assert list(columns.rejections) == [1]
    for column in columns.by_path.values():
        arrays = [part for part in column if isinstance(part, np.ndarray) and len(part) == 2]
        assert not any(array[1] for array in arrays)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_case_of_the_corpus_has_its_stated_outcome(case: Case) -> None:
    columns = decoded(transaction(), case.value, transaction())
    now = np.full(3, time.time_ns() // 1_000_000)
    _, in_future = event_times(SCHEMA, columns, now, MAX_FUTURE_MS)
    rejections = {**columns.rejections, **in_future}
    reasons = {row: rejection.reason for row, rejection in rejections.items()}
    assert reasons == ({1: case.outcome} if case.outcome else {})


UNUSUAL = {
    "half of a surrogate pair": transaction(source=r'"\ud83d"'),
    "an escaped NUL": transaction(source=r'"\u0000"'),
    "16 digits": transaction(amount="0.1234567890123456"),
    "an exponent": transaction(amount="1e3"),
    "a name twice": transaction()[:-1] + b',"amount":5}',
    "an escape in a name": transaction()[:-1] + rb',"a\u0041":5}',
    "a tombstone": None,
    "bytes that are not UTF-8": transaction(source='"HERE"').replace(b"HERE", b"\xff"),
}


@pytest.mark.parametrize("value", UNUSUAL.values(), ids=list(UNUSUAL))
def test_what_is_unusual_is_read_one_by_one(value: bytes | None) -> None:
    assert decoded(transaction(), value, transaction()).one_by_one == 1


USUAL = {
    "white space": transaction().replace(b",", b" ,\n\t").replace(b":", b" : "),
    "another order": b'{"currency":"EUR","amount":5,"target":"b","source":"a"}',
    "a field that is not listed": transaction()[:-1] + b',"x":-1.5e+300}',
    "an invalid text that is not listed": transaction()[:-1] + b',"x":"\xff\\n"}',
    "nested values that are not listed": transaction()[:-1] + b',"x":{"a":[1,{"b":[]},{}]},"y":[]}',
    "UTF-8": transaction(source='"Zoë \U0001d49c"'),
    "escapes": transaction(source=r'"a\"\u00e9\ud83d\ude00\n"', currency=r'"E\u0055R"'),
    "null": transaction(merchant="null"),
    "RFC 3339": transaction(timestamp='"2024-02-29T12:00:00.123+01:00"'),
}


@pytest.mark.parametrize("value", USUAL.values(), ids=list(USUAL))
def test_what_is_usual_is_read_by_the_kernel(value: bytes) -> None:
    columns = decoded(value, value)
    assert (columns.one_by_one, columns.rejections) == (0, {})


def test_fields_may_come_in_changing_orders() -> None:
    values = [
        transaction(),
        transaction(channel='"web"'),
        b'{"currency":"EUR","amount":12.5,"source":"alice","target":"bob"}',
        transaction(),
    ]
    columns = decoded(*values * 3)
    assert columns.one_by_one == 0
    assert [columns.row(i)["amount"] for i in range(12)] == [12.5] * 12
    assert [columns.row(i)["channel"] for i in range(4)] == [None, "web", None, None]


def test_white_space_may_differ_from_record_to_record() -> None:
    values = [transaction().replace(b":", b":" + b" " * n) for n in (0, 1, 0, 2, 30, 0)]
    columns = decoded(*values)
    assert columns.one_by_one == 0
    assert [columns.row(i) for i in range(6)] == [columns.row(0)] * 6


def test_escapes_are_read_again_where_the_first_reading_fails() -> None:
    escaped = transaction(source=r'"\u0041\\"')
    columns = decoded(escaped, b"\0", escaped, transaction(source=r'"\n"', amount="1e2"))
    sources = columns.by_path["source"]
    assert [sources.value(row) for row in (0, 2, 3)] == ["A\\", "A\\", "\n"]
    assert columns.one_by_one == 2


@pytest.mark.parametrize(
    "value",
    [transaction() + b"\0", b"\0" + transaction(), transaction() + b"\0" + transaction(), b"\0"],
)
def test_a_zero_byte_ends_no_record(value: bytes) -> None:
    columns = decoded(transaction(source='"a"'), value, transaction(source='"b"'))
    assert columns.accepted.tolist() == [True, False, True]
    sources = columns.by_path["source"]
    assert [sources.value(0), sources.value(2)] == ["a", "b"]


def test_no_records_have_empty_columns() -> None:
    columns = decoded()
    assert len(columns) == 0
    assert columns.rejections == {}
    assert all(len(column.valid) == 0 for column in columns.by_path.values())


def test_a_batch_may_have_64_mebibytes() -> None:
    long = transaction()[:-1] + b',"x":"' + b"a" * (1 << 20) + b'"}'
    columns = decoded(*[long] * 63, transaction(source='"A"', amount="1e2"))
    assert columns.one_by_one == 1
    assert columns.accepted.all()
    assert columns.by_path["source"].value(62) == "alice"
    assert columns.by_path["source"].value(63) == "A"


def test_columns_stay_as_they_are_when_the_next_batch_is_read() -> None:
    decoder = JsonDecoder(SCHEMA)
    first = decoder.decode([transaction(source='"first"')])
    decoder.decode([transaction(source='"other"', amount="1")])
    assert first.row(0)["source"] == "first"
    assert first.row(0)["amount"] == 12.5


def times(values: Sequence[bytes], record_ms: int) -> tuple[list[int], dict[int, Reason]]:
    columns = decoded(*values)
    found, rejections = event_times(SCHEMA, columns, np.full(len(values), record_ms), 1_000)
    return found.tolist(), {row: rejection.reason for row, rejection in rejections.items()}


def test_an_event_time_is_the_transactions_or_its_records() -> None:
    values = [
        transaction(),
        transaction(timestamp="1500000000123"),
        transaction(timestamp='"2017-07-14T02:40:00.123999Z"'),
    ]
    assert times(values, 1_600_000_000_000) == (
        [1_600_000_000_000, 1_500_000_000_123, 1_500_000_000_123],
        {},
    )


def test_an_event_time_too_far_after_its_record_is_rejected() -> None:
    values = [transaction(timestamp="1500000001000"), transaction(timestamp="1500000001001")]
    _, rejections = times(values, 1_500_000_000_000)
    assert rejections == {1: Reason.TIMESTAMP_IN_FUTURE}


def test_a_schema_without_an_event_time_has_the_records_times() -> None:
    columns = decoded(b'{"payer":"a"}', schema=OWN)
    found, rejections = event_times(OWN, columns, np.array([5]), 0)
    assert (found.tolist(), rejections) == ([5], {})


def test_another_schema_compiles_nothing() -> None:
    decoded(transaction())
    before = len(read.signatures), len(fill.signatures)  # type: ignore[attr-defined]
    decoded(b'{"open":true}', schema=Schema((Field(name="open", type="bool"),)))
    decoded(b'{"payer":"a"}', b'{"payer":"a\0"}', None, schema=OWN)
    assert (len(read.signatures), len(fill.signatures)) == before == (1, 1)  # type: ignore[attr-defined]
