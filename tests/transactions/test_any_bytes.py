"""Any bytes at all give a transaction within its bounds, or a refusal."""

from __future__ import annotations

import json
import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.transactions import Field, Reason, Rejection, Schema, printable
from services.transactions.currencies import DECIMALS
from tests.transactions.corpus import transaction
from tests.transactions.reading import MAX_FUTURE_MS, RECORD_MS, SCHEMA, read

if TYPE_CHECKING:
    from collections.abc import Callable

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
near_transactions = st.fixed_dictionaries(
    {},
    optional={field.name: json_values for field in SCHEMA.fields},
).map(lambda fields: json.dumps(fields).encode())
good_or_nearly = st.builds(
    lambda amount, currency, name, at: transaction(
        amount=json.dumps(amount),
        currency=json.dumps(currency),
        merchant=json.dumps(name),
        timestamp=json.dumps(at),
    ),
    st.floats(0, 2e12) | st.integers(-1, 2**40),
    st.sampled_from([*DECIMALS, "eur", "XAU"]),
    st.text(max_size=300),
    st.none()
    | st.integers(900_000_000_000, RECORD_MS + 2 * MAX_FUTURE_MS)
    | st.datetimes(datetime(1999, 1, 1), datetime(2026, 1, 1), timezones=st.timezones()).map(str),  # noqa: DTZ001 - the time zone is drawn
)
mutilated = st.builds(
    lambda value, at, with_: value[: at % len(value)] + with_ + value[at % len(value) :],
    st.just(transaction(timestamp='"2024-05-01T12:00:00Z"', ip='"::1"')),
    st.integers(min_value=0, max_value=1_000),
    st.binary(min_size=1, max_size=4),
)


@given(st.binary() | st.text().map(str.encode) | near_transactions | mutilated)
@example(b"[" * 100_000)
def test_any_bytes_give_a_transaction_or_a_refusal(value: bytes) -> None:
    assert isinstance(read(value), (SCHEMA.struct, Rejection))


@given(st.binary() | near_transactions | mutilated | good_or_nearly)
def test_any_refusal_is_short_and_printable(value: bytes) -> None:
    found = read(value)
    detail = found.detail if isinstance(found, Rejection) else "accepted"
    assert 0 < len(detail) <= 200
    assert detail.isprintable()


@given(st.integers(min_value=0, max_value=1_000))
def test_every_cut_of_a_transaction_is_refused(at: int) -> None:
    whole = transaction(merchant='"é"', timestamp='"2024-05-01T12:00:00Z"')
    assert isinstance(read(whole[: at % len(whole)]), Rejection)


@given(st.text())
def test_printable_text_is_short_and_printable(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 200


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Z")), max_size=200))
def test_a_short_printable_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


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
    assert isinstance(read(json.dumps(fields).encode()), SCHEMA.struct) == keeps


def within_bounds(field: Field, value: Any) -> bool:
    """Whether a decoded value is what its field says, checked in plain Python."""
    match field.type:
        case _ if value is None:
            return not field.required
        case "string" if field.enum:
            return value in field.enum
        case "string":
            return (field.min_length or 0) <= len(value) <= (field.max_length or 2**31)
        case "currency":
            return value in DECIMALS
        case "bool":
            return isinstance(value, bool)
        case "timestamp":
            earliest = 946_684_800_000 if field.name == "timestamp" else -62_135_596_800_000
            if isinstance(value, datetime):
                return field.name != "timestamp" and value.tzinfo is not None
            return type(value) is int and earliest <= value <= 253_402_300_799_999
        case kind:
            right = type(value) is (int if kind == "int" else float) and abs(value) < 2**64
            return right and all(holds(value, bound) for holds, bound in limits(field))


def limits(field: Field) -> list[tuple[Callable[[float, float], bool], float]]:
    """A number's bounds, each with what it means."""
    pairs = (
        (operator.ge, field.minimum),
        (operator.le, field.maximum),
        (operator.gt, field.exclusive_minimum),
        (operator.lt, field.exclusive_maximum),
    )
    return [(holds, float(bound)) for holds, bound in pairs if bound is not None]


OWN = Schema(
    (
        Field(name="payer", type="string", required=True, min_length=2, max_length=3),
        Field(name="kind", type="string", enum=("card", "cash")),
        Field(name="cents", type="int", exclusive_minimum=-2, maximum=2),
        Field(name="points", type="int", minimum=-(2**53), exclusive_maximum=2**53),
        Field(name="share", type="double", minimum=0, exclusive_maximum=1),
        Field(name="trusted", type="bool"),
        Field(name="booked", type="timestamp"),
        Field(name="money", type="currency"),
    )
)
own_values = st.fixed_dictionaries(
    {"payer": st.text("abc", min_size=1, max_size=4)},
    optional={
        "kind": st.sampled_from(["card", "cash", "gold", None]),
        "cents": st.integers(-3, 3) | st.none(),
        "points": st.integers(-10, 10) | st.integers(2**52, 2**65) | st.floats(-1, 1),
        "share": st.floats(-0.1, 1) | st.integers(0, 1) | st.booleans(),
        "trusted": st.booleans() | st.none() | st.just(0),
        "booked": st.datetimes(timezones=st.timezones()).map(str) | st.integers(-5, 2**48),
        "money": st.sampled_from(["EUR", "USD", "JPY", "eur", "XAU", None]),
    },
).map(lambda fields: json.dumps(fields).encode())


@given(mutilated | good_or_nearly)
def test_any_transaction_is_within_the_built_in_bounds(value: bytes) -> None:
    found = read(value)
    if not isinstance(found, Rejection):
        assert all(within_bounds(f, getattr(found, f.name)) for f in SCHEMA.fields)


@settings(max_examples=500)  # about one in seven is accepted
@given(own_values)
def test_any_transaction_is_within_a_teams_own_bounds(value: bytes) -> None:
    found = read(value, schema=OWN)
    if not isinstance(found, Rejection):
        assert all(within_bounds(f, getattr(found, f.name)) for f in OWN.fields)


@given(own_values)
def test_what_is_refused_of_a_teams_own_is_out_of_bounds(value: bytes) -> None:
    """The other way round: json.loads and plain comparisons would have refused it too."""
    found = read(value, schema=OWN)
    if isinstance(found, Rejection):
        assert found.reason in {
            Reason.WRONG_LENGTH,
            Reason.NOT_ALLOWED,
            Reason.WRONG_TYPE,
            Reason.OUT_OF_RANGE,
            Reason.UNKNOWN_CURRENCY,
            Reason.INVALID_TIMESTAMP,
            Reason.TIMESTAMP_TOO_OLD,
        }
        fields = json.loads(value)
        assert not all(plainly(f, fields.get(f.name)) for f in OWN.fields)


def plainly(field: Field, value: Any) -> bool:
    """Whether a JSON value is what its field says; texts of times are left to the decoder."""
    if field.type == "timestamp":
        return value is None or (type(value) is int and within_bounds(field, value))
    if field.type == "double" and type(value) is int:
        value = float(value)
    kinds = {"string": str, "currency": str, "bool": bool, "int": int, "double": float}
    return value is None or (type(value) is kinds[field.type] and within_bounds(field, value))
