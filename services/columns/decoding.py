"""From the values of records to columns.

`JsonDecoder` reads a batch with one compiled call. `Schema.decode` reads the
records that this call does not take, one by one, into the same columns. So
msgspec alone decides which records are rejected, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from services.columns.columns import (
    Booleans,
    Codes,
    Column,
    Columns,
    Doubles,
    Texts,
    Times,
    Whole,
)
from services.columns.kernel import ENDS_UNKNOWN, FORESEEN, STRANGERS, Memory, Table, read
from services.columns.loads import PADDING
from services.columns.plan import (
    CODE,
    DOUBLE,
    INT,
    TEXT,
    TIMESTAMP,
    kind_of,
    labels,
    places_of,
    plan_of,
)
from services.transactions import Field, Rejection, Schema, reject, too_old
from services.transactions.fields import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Data = npt.NDArray[np.uint8]
    Ints = npt.NDArray[np.int64]
    # Of a table's arrays, to set single values.
    _Views = tuple[memoryview, memoryview, memoryview]

_NO_ENDS: Ints = np.zeros(0, np.int64)
_PADDING = bytes(PADDING)


class _Field(NamedTuple):
    """A field, and where its column is in the table."""

    row: int
    name: str
    kind: int
    place: int
    currency: str | None
    labels: tuple[str, ...]
    codes: dict[str, int]


class _ByPath(Mapping[str, Column]):
    """The columns of a batch, each made when it is asked for: most batches need few of them."""

    def __init__(self, fields: Mapping[str, _Field], data: Data, table: Table) -> None:
        self._fields = fields
        self._data = data
        self._table = table

    def __getitem__(self, path: str) -> Column:
        row, _, kind, place, currency, known, _ = self._fields[path]
        ints, doubles, flags = self._table
        if kind == TEXT:
            return Texts(self._data, ints[place], ints[place + 1], flags[row])
        if kind == DOUBLE:
            return Doubles(doubles[place], flags[row], currency)
        if kind == INT:
            return Whole(ints[place], flags[row])
        if kind == TIMESTAMP:
            return Times(ints[place], flags[row])
        if kind == CODE:
            return Codes(ints[place], flags[row], known)
        return Booleans(flags[place], flags[row])

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Decoder(Protocol):
    """Reader of one format of records."""

    @property
    def schema(self) -> Schema:
        """Schema of the transactions."""

    def decode(self, values: Sequence[bytes | None]) -> Columns:
        """Read a batch.

        Args:
            values: Values of the records, None for a tombstone. One row each.

        """


class JsonDecoder:
    """Reader of records in JSON.

    It remembers what the last records looked like, so each thread needs its own.

    Args:
        schema: Schema of the transactions.

    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._plan, self._shape = plan_of(schema)
        places = self._plan.fields["place"].tolist()
        self._fields = [
            _Field(
                f,
                field.name,
                kind_of(field),
                place,
                field.currency,
                labels(field),
                {label: labels(field).index(label) for label in labels(field)},
            )
            for f, (field, place) in enumerate(zip(schema.fields, places, strict=True))
        ]
        self._places = places_of(schema)
        self._by_name = {field.name: field for field in self._fields}
        states = 1 + len(schema.fields) + STRANGERS
        self._memory = Memory(
            foreseen=np.zeros(states, FORESEEN), seen=np.zeros(len(schema.fields), np.int64)
        )

    def decode(self, values: Sequence[bytes | None]) -> Columns:
        """Read a batch: one row for each value."""
        n = len(values)
        joined = _joined(values)
        data = np.frombuffer(joined, np.uint8)
        table = self._table(n)
        left = read(data, _NO_ENDS, self._plan, self._memory, table)
        if left == ENDS_UNKNOWN:
            joined = _joined(values)  # once more: texts may have been written to it
            data = np.frombuffer(joined, np.uint8)
            table = self._table(n)
            lengths = np.fromiter((len(value or b"") for value in values), np.int64, n)
            ends = np.cumsum(lengths + 1) - 1
            left = read(data, ends, self._plan, self._memory, table)
        accepted = table.flags[-1]
        rejections = self._read_one_by_one(values, joined, table) if left else {}
        by_path = _ByPath(self._by_name, data, table)
        return Columns(by_path, data, table, self._places, accepted, rejections, left)

    def _table(self, n: int) -> Table:
        ints, doubles, flags = self._shape
        return Table(
            np.zeros((ints, n), np.int64), np.zeros((doubles, n)), np.zeros((flags, n), np.bool_)
        )

    def _read_one_by_one(
        self, values: Sequence[bytes | None], joined: bytearray, table: Table
    ) -> dict[int, Rejection]:
        """Read the rows that were not taken, and return the rejected ones."""
        decode: Any = self.schema.decode  # a tombstone's None is for it to reject
        accepted, begins = table.flags[-1], table.ints[-1].tolist()
        views = table.ints.data, table.doubles.data, table.flags.data
        rejections: dict[int, Rejection] = {}
        for row in np.flatnonzero(~accepted).tolist():
            value = values[row]
            try:
                transaction = decode(value)
            except Exception as error:  # noqa: BLE001 - whatever decoding raises is a rejection
                rejections[row] = reject(self.schema, value, error)
                continue
            if rejection := _rejected_time(self.schema, transaction):
                rejections[row] = rejection
            else:
                self._fill(row, transaction, joined, begins[row], views)
                accepted[row] = True
        return rejections

    def _fill(self, row: int, transaction: Any, joined: bytearray, at: int, views: _Views) -> None:  # noqa: ANN401 - a schema's own struct
        """Write a transaction into its row of the columns.

        Its texts are written over its bytes, one after the other, from `at` on.
        There is room: a text is never longer than it is in JSON.
        """
        ints, doubles, flags = views
        for f, name, kind, place, _, _, codes in self._fields:
            value = getattr(transaction, name)
            if value is None:
                continue
            flags[f, row] = True
            if kind == TEXT:
                text = value.encode()
                ints[place, row] = at
                ints[place + 1, row] = len(text)
                joined[at : at + len(text)] = text
                at += len(text)
            elif kind == DOUBLE:
                doubles[place, row] = value
            elif kind == INT:
                ints[place, row] = value
            elif kind == TIMESTAMP:
                ints[place, row] = value * 1000 if type(value) is int else microseconds(value)
            elif kind == CODE:
                ints[place, row] = codes[value]
            else:
                flags[place, row] = value


def _joined(values: Sequence[bytes | None]) -> bytearray:
    """All values, each followed by a zero byte, and padding; in memory that may be written to."""
    try:
        return bytearray(b"\0").join([*values, _PADDING])  # type: ignore[list-item]
    except TypeError:  # a tombstone
        return bytearray(b"\0").join([*(value or b"" for value in values), _PADDING])


def _rejected_time(schema: Schema, transaction: Any) -> Rejection | None:  # noqa: ANN401 - a schema's own struct
    """Rejection of an event time in RFC 3339 that is too old; msgspec compares integers itself."""
    if schema.event_time is None:
        return None
    at = transaction.timestamp
    if at is None or type(at) is int or microseconds(at) >= schema.earliest_ms * 1000:
        return None
    return too_old(schema.event_time, at)


def prepare() -> None:
    """Compile the kernel, or load what was compiled."""
    JsonDecoder(Schema((Field(name="a", type="string"),))).decode([b"{}"])
