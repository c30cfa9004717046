"""The fast reader and msgspec alone: the same transactions and the same rejections."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from services.columns import JsonDecoder, event_times
from services.transactions import Field, Rejection, Schema, load_schema
from services.transactions.fields import microseconds
from tests.columns.generated import RECORD_MS, Generated
from tests.transactions.reading import MAX_FUTURE_MS, read

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = Schema(
    (
        Field(name="payer", type="string", required=True, min_length=2, max_length=20),
        Field(name="kind", type="string", enum=("card", "cash", "Überweisung", "", "a" * 20)),
        Field(name="cents", type="int", required=True, minimum=0, maximum=10**12),
        Field(name="points", type="int"),
        Field(name="share", type="double", minimum=0, exclusive_maximum=1),
        Field(name="trusted", type="bool", required=True),
        Field(name="booked", type="timestamp"),
        Field(name="money", type="currency"),
        Field(name="fee", type="double", currency="money", minimum=-5.25, maximum=900),
    )
)
ALL_OPTIONAL = Schema(
    (
        Field(name="timestamp", type="timestamp", minimum="2000-01-01T00:00:00Z"),
        Field(name="settled", type="timestamp"),
        Field(name="open", type="bool"),
        Field(name="any", type="double"),
        Field(name="note", type="string"),
    )
)
# More than there are bits in a word, and names longer than what the kernel foresees.
MANY = Schema(
    tuple(
        Field(name=f"a_name_that_is_rather_long_{i}", type="int" if i % 3 else "string")
        for i in range(30)
    )
    + tuple(Field(name=f"f{i}", type="bool", required=i == 7) for i in range(40))
)
SCHEMAS = {
    "built-in": (load_schema(None), 125_000),
    "own": (OWN, 100_000),
    "optional": (ALL_OPTIONAL, 70_000),
    "many": (MANY, 20_000),
}
"""Each schema with the number of its values."""


def expected(schema: Schema, value: bytes | None) -> dict[str, Any] | Rejection:
    """What msgspec alone makes of a value, with times as columns have them."""
    found = read(value, RECORD_MS, schema)
    if isinstance(found, Rejection):
        return found
    row = {field.name: getattr(found, field.name) for field in schema.fields}
    for field in schema.fields:
        at = row[field.name]
        if field.type == "timestamp" and at is not None:
            row[field.name] = at * 1000 if type(at) is int else microseconds(at)
    return row


def read_fast(
    decoder: JsonDecoder, values: Sequence[bytes | None]
) -> tuple[list[dict[str, Any] | Rejection], int]:
    """What the columns hold, row by row, and how many rows were read one by one."""
    schema = decoder.schema
    columns = decoder.decode(values)
    record_ms = np.full(len(values), RECORD_MS)
    times_ms, late = event_times(schema, columns, record_ms, MAX_FUTURE_MS)
    found: list[dict[str, Any] | Rejection] = []
    for i in range(len(values)):
        if rejection := columns.rejections.get(i) or late.get(i):
            found.append(rejection)
            continue
        row = columns.row(i)
        if schema.event_time:
            row["timestamp"] = int(times_ms[i]) * 1000
        found.append(row)
    assert np.flatnonzero(~columns.accepted).tolist() == sorted(columns.rejections)
    return found, columns.one_by_one


def same(first: dict[str, Any] | Rejection, second: dict[str, Any] | Rejection) -> bool:
    """Equal, with values of the same types, and zeros of the same sign."""
    if first != second:
        return False
    if isinstance(first, Rejection) or isinstance(second, Rejection):
        return True
    for one, other in zip(first.values(), second.values(), strict=True):
        if type(one) is not type(other):
            return False
        if one == 0 and math.copysign(1, one) != math.copysign(1, other):
            return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_fast_reader_and_msgspec_give_the_same(name: str) -> None:
    schema, wanted_values = SCHEMAS[name]
    decoder = JsonDecoder(schema)
    generated = Generated(schema, seed=20_261_130)
    count = rejected = one_by_one = 0
    size = 0
    while count < wanted_values:
        values = generated.batch(200)
        found, slow = read_fast(decoder, values)
        for value, row in zip(values, found, strict=True):
            wanted = expected(schema, value)
            assert same(row, wanted), f"{value!r}: found {row}, expected {wanted}"
            rejected += isinstance(wanted, Rejection)
            size += len(value or b"")
        count += len(values)
        one_by_one += slow
    print(  # noqa: T201 - what the test run shows
        f"\n{name}: {count} values of {size / count:.0f} bytes, {rejected / count:.1%} rejected, "
        f"{one_by_one / count:.1%} read one by one"
    )
    # Otherwise it would not be two readers that are compared, or nothing unusual.
    assert 0.1 < rejected / count < 0.6
    assert one_by_one / count < rejected / count + 0.25
