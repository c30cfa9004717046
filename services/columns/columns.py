"""A batch as columns: one a field of the schema, one row a record.

Columns have paths: a field's name. In each column `valid`, bool[n], is true for
the rows that have a value. In the others its values are 0, so in all columns of
a rejected row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from services.columns.kernel import Table
    from services.columns.plan import Place
    from services.transactions import Rejection

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """Texts as slices of one buffer.

    `data` is uint8 and valid UTF-8 within each slice; `starts` is int64[n];
    `lengths` is int64[n], in bytes.
    """

    data: npt.NDArray[np.uint8]
    starts: Ints
    lengths: Ints
    valid: Bools

    def part(self, begin: int, end: int) -> Texts:
        """The rows [begin, end)."""
        return Texts(
            self.data, self.starts[begin:end], self.lengths[begin:end], self.valid[begin:end]
        )

    def value(self, row: int) -> str | None:
        """The text of a row, None where it has none."""
        if not self.valid[row]:
            return None
        start = int(self.starts[row])
        return str(self.data[start : start + int(self.lengths[row])].tobytes(), "utf-8")


class Doubles(NamedTuple):
    """Numbers, float64[n]. Of money, `currency` is the path of the column of its currencies."""

    values: npt.NDArray[np.float64]
    valid: Bools
    currency: str | None

    def part(self, begin: int, end: int) -> Doubles:
        """The rows [begin, end)."""
        return Doubles(self.values[begin:end], self.valid[begin:end], self.currency)

    def value(self, row: int) -> float | None:
        """The number of a row, None where it has none."""
        return float(self.values[row]) if self.valid[row] else None

    def at(self, rows: list[int]) -> list[float | None]:
        """The numbers of some rows, None where there is none."""
        pairs = zip(self.values[rows].tolist(), self.valid[rows].tolist(), strict=True)
        return [value if there else None for value, there in pairs]


class Whole(NamedTuple):
    """Whole numbers, int64[n]."""

    values: Ints
    valid: Bools

    def part(self, begin: int, end: int) -> Whole:
        """The rows [begin, end)."""
        return Whole(self.values[begin:end], self.valid[begin:end])

    def value(self, row: int) -> int | None:
        """The number of a row, None where it has none."""
        return int(self.values[row]) if self.valid[row] else None


class Times(NamedTuple):
    """Times, int64[n] in microseconds since 1970: the finest that RFC 3339 is read to."""

    micros: Ints
    valid: Bools

    def part(self, begin: int, end: int) -> Times:
        """The rows [begin, end)."""
        return Times(self.micros[begin:end], self.valid[begin:end])

    def value(self, row: int) -> int | None:
        """The time of a row in microseconds since 1970, None where it has none.

        No datetime: in UTC a time of RFC 3339 may lie outside of its years.
        """
        return int(self.micros[row]) if self.valid[row] else None


class Codes(NamedTuple):
    """Texts of a known set, such as currencies: `codes` is int64[n], indices in `labels`."""

    codes: Ints
    valid: Bools
    labels: tuple[str, ...]

    def part(self, begin: int, end: int) -> Codes:
        """The rows [begin, end)."""
        return Codes(self.codes[begin:end], self.valid[begin:end], self.labels)

    def value(self, row: int) -> str | None:
        """The text of a row, None where it has none."""
        return self.labels[self.codes[row]] if self.valid[row] else None

    def at(self, rows: list[int]) -> list[str | None]:
        """The texts of some rows, None where there is none."""
        pairs = zip(self.codes[rows].tolist(), self.valid[rows].tolist(), strict=True)
        return [self.labels[code] if there else None for code, there in pairs]


class Booleans(NamedTuple):
    """Booleans, bool[n]."""

    values: Bools
    valid: Bools

    def part(self, begin: int, end: int) -> Booleans:
        """The rows [begin, end)."""
        return Booleans(self.values[begin:end], self.valid[begin:end])

    def value(self, row: int) -> bool | None:
        """The boolean of a row, None where it has none."""
        return bool(self.values[row]) if self.valid[row] else None


def joined(parts: Sequence[Whole | Doubles]) -> Whole | Doubles:
    """Join numbers of one type: the rows of each part, in order."""
    first, *more = parts
    if not more:
        return first
    valid = np.concatenate([part.valid for part in parts])
    if isinstance(first, Whole):
        return Whole(np.concatenate([cast("Whole", part).values for part in parts]), valid)
    return first._replace(values=np.concatenate([part.values for part in parts]), valid=valid)


Column = Texts | Doubles | Whole | Times | Codes | Booleans


@dataclass(frozen=True, slots=True)
class Columns:
    """A decoded batch of n records.

    `accepted` is bool[n], true for transactions; `rejections` has the other rows.
    `one_by_one` is the number of rows that the compiled reader did not take.
    `data` and `table` are the memory of the columns, for compiled code; `places` has the
    place of each in it.
    """

    by_path: Mapping[str, Column]
    data: npt.NDArray[np.uint8]
    table: Table
    places: Mapping[str, Place]
    accepted: Bools
    rejections: Mapping[int, Rejection]
    one_by_one: int

    def __len__(self) -> int:
        return len(self.accepted)

    def row(self, row: int) -> dict[str, Any]:
        """Values of one transaction by path, None where it has none. Slow: for single rows."""
        return {path: column.value(row) for path, column in self.by_path.items()}

    def with_texts(self, path: str, texts: Mapping[int, str]) -> Columns:
        """The same batch with other texts, by row, in one column."""
        column, row = self.by_path[path], self.places[path].row
        rows = list(texts)
        written = [text.encode() for text in texts.values()]
        lengths = np.fromiter(map(len, written), np.int64, len(rows))
        ints, valid = self.table.ints.copy(), column.valid.copy()
        ints[row, rows] = len(self.data) + np.cumsum(lengths) - lengths
        ints[row + 1, rows] = lengths
        valid[rows] = True
        data = np.concatenate([self.data, np.frombuffer(b"".join(written), np.uint8)])
        named = Texts(data, ints[row], ints[row + 1], valid)
        return replace(
            self,
            by_path={**self.by_path, path: named},
            data=data,
            table=self.table._replace(ints=ints),
        )
