"""A schema as tables for the kernel, which is compiled without knowing any field."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.columns import words
from services.transactions.currencies import DECIMALS
from services.transactions.fields import LATEST_MS, double_bounds, earliest_ms, int64_bounds

if TYPE_CHECKING:
    import numpy.typing as npt

    from services.columns.words import Words
    from services.transactions import Field, Schema


class Kind(IntEnum):
    """Kinds of columns."""

    TEXT = 0
    DOUBLE = 1
    INT = 2
    TIMESTAMP = 3
    CODE = 4
    BOOL = 5


TEXT, DOUBLE, INT, TIMESTAMP, CODE, BOOL = map(int, Kind)
_KINDS = {
    "string": TEXT,
    "double": DOUBLE,
    "int": INT,
    "timestamp": TIMESTAMP,
    "currency": CODE,
    "bool": BOOL,
}
NAMES = 0
"""Group of the fields' names among the words; the labels of field f are group f + 1."""

_MOST = 2**62
CURRENCIES = tuple(sorted(DECIMALS))
"""The labels of a currency's codes."""


FIELD = np.dtype(
    [
        ("kind", np.int64),
        ("place", np.int64),
        ("required", np.int64),
        ("low", np.int64),
        ("high", np.int64),
        ("least", np.float64),
        ("most", np.float64),
    ]
)
"""One field: TEXT, DOUBLE, …; the row of its values in its array of the table; 1 if it is required;
bounds of an int, a time in ms or the length of a text in characters; bounds of a double."""


class Plan(NamedTuple):
    """Tables of a schema of F fields."""

    fields: npt.NDArray[Any]  # FIELD[F]
    words: Words  # names of fields, and labels


class Shape(NamedTuple):
    """Number of rows in each array of the table.

    `ints`: two for each text (starts, lengths), one for each int, time and code,
    and last the index where each record begins. `flags`: one for each field
    (valid or not), one for each bool, and last one for the records (taken or
    not).
    """

    ints: int
    doubles: int
    flags: int


class Place(NamedTuple):
    """The place of a field's column in the table.

    `row` is a row of `doubles` for a double, of `flags` for a bool, else of `ints`; a text has
    its lengths in the row after. `flag` is the row of `flags` for the rows that have a value.
    """

    kind: Kind
    row: int
    flag: int
    labels: tuple[str, ...]


def places_of(schema: Schema) -> dict[str, Place]:
    """Return the places of the columns of a schema's fields, by path."""
    rows = plan_of(schema)[0].fields["place"].tolist()
    return {
        field.name: Place(Kind(kind_of(field)), row, flag, labels(field))
        for flag, (field, row) in enumerate(zip(schema.fields, rows, strict=True))
    }


def kind_of(field: Field) -> int:
    """The kind of a field's column."""
    return CODE if field.enum else _KINDS[field.type]


def labels(field: Field) -> tuple[str, ...]:
    """Labels of a field's codes: its enumeration, or all currencies; empty for other fields."""
    if field.type == "currency":
        return CURRENCIES
    return field.enum or ()


def plan_of(schema: Schema) -> tuple[Plan, Shape]:
    """Tables of a schema, and the shape of the columns that the kernel fills."""
    fields = schema.fields
    ints, doubles, flags = 0, 0, len(fields)
    rows = []
    for field in fields:
        kind = kind_of(field)
        place = {DOUBLE: doubles, BOOL: flags}.get(kind, ints)
        rows.append((kind, place, field.required, *_whole_bounds(field), *_double_bounds(field)))
        ints += {TEXT: 2, DOUBLE: 0, BOOL: 0}.get(kind, 1)
        doubles += kind == DOUBLE
        flags += kind == BOOL
    groups = {NAMES: [field.name for field in fields]}
    groups |= {f + 1: list(labels(field)) for f, field in enumerate(fields) if labels(field)}
    return Plan(np.array(rows, FIELD), words.table(groups)), Shape(ints + 1, doubles, flags + 1)


def _whole_bounds(field: Field) -> tuple[int, int]:
    match field.type:
        case "int":
            bounds = int64_bounds(field)
            return bounds["ge"], bounds["le"]
        case "timestamp":
            return earliest_ms(field), LATEST_MS
        case _:
            return field.min_length or 0, min(field.max_length or _MOST, _MOST)


def _double_bounds(field: Field) -> tuple[float, float]:
    """Both ends included: the next double is the first beyond one that is excluded."""
    if field.type != "double":
        return -math.inf, math.inf
    bounds = double_bounds(field)
    lows = [bounds.get("ge", -math.inf)]
    highs = [bounds.get("le", math.inf)]
    if "gt" in bounds:
        lows.append(math.nextafter(bounds["gt"], math.inf))
    if "lt" in bounds:
        highs.append(math.nextafter(bounds["lt"], -math.inf))
    return max(lows), min(highs)
