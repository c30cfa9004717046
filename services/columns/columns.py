"""A batch as columns: one a field of the schema, one row a record.

Columns have paths: a field's name. In each column `valid`, bool[n], is true for
the rows that have a value. In the others its values are 0, so in all columns of
a rejected row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

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

    def value(self, row: int) -> float | None:
        """The number of a row, None where it has none."""
        return float(self.values[row]) if self.valid[row] else None


class Whole(NamedTuple):
    """Whole numbers, int64[n]."""

    values: Ints
    valid: Bools

    def value(self, row: int) -> int | None:
        """The number of a row, None where it has none."""
        return int(self.values[row]) if self.valid[row] else None


class Times(NamedTuple):
    """Times, int64[n] in microseconds since 1970: the finest that RFC 3339 is read to."""

    micros: Ints
    valid: Bools

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

    def value(self, row: int) -> str | None:
        """The text of a row, None where it has none."""
        return self.labels[self.codes[row]] if self.valid[row] else None


class Booleans(NamedTuple):
    """Booleans, bool[n]."""

    values: Bools
    valid: Bools

    def value(self, row: int) -> bool | None:
        """The boolean of a row, None where it has none."""
        return bool(self.values[row]) if self.valid[row] else None


Column = Texts | Doubles | Whole | Times | Codes | Booleans


@dataclass(frozen=True, slots=True)
class Columns:
    """A decoded batch of n records.

    `accepted` is bool[n], true for transactions; `rejections` has the other rows.
    `one_by_one` is the number of rows that the compiled reader did not take.
    """

    by_path: Mapping[str, Column]
    accepted: Bools
    rejections: Mapping[int, Rejection]
    one_by_one: int

    def __len__(self) -> int:
        return len(self.accepted)

    def row(self, row: int) -> dict[str, Any]:
        """Values of one transaction by path, None where it has none. Slow: for single rows."""
        return {path: column.value(row) for path, column in self.by_path.items()}
