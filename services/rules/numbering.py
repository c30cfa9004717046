"""Dense integer ids for grouping keys, their currencies, and counted values.

A window is identified by a slot. A slot is reused once its key has not occurred for some
time and there are no entries in it, nor in the slots of the key's other currencies.

A text is identified by a hash of 128 bits (`services.windows.hashing`): among a
million keys the probability that any two have the same hash is 1.5e-27. A number is
identified by its own value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from services.columns import CURRENCIES, Codes, Doubles, Texts, Times
from services.windows.hashing import hashed
from services.windows.homes import pair
from services.windows.keys import Keys, mixed

if TYPE_CHECKING:
    import numpy.typing as npt

    from services.columns import Column, Columns

    Ints = npt.NDArray[np.int64]

NOBODY = 0
"""The slot for transactions without a key."""
_NO_SLOTS: Ints = np.zeros(0, np.int64)


class Halves(NamedTuple):
    """Keys of 128 bits, as two columns, and for each whether it is present."""

    first: Ints
    second: Ints
    there: npt.NDArray[np.bool_]


def halves(column: Column, secret: bytes) -> Halves:
    """Convert the values of one field to keys.

    Args:
        column: The field's column.
        secret: Key of the hash of texts, 16 bytes.

    """
    match column:
        case Texts():
            return Halves(*hashed(column.data, column.starts, column.lengths, secret), column.valid)
        case Doubles():
            # Adding 0.0 turns the negative zero into the positive one, so both have the same key.
            first = (column.values + 0.0).view(np.int64)
        case Codes():
            first = column.codes
        case Times():
            first = column.micros
        case _:
            first = column.values.astype(np.int64)
    return Halves(first, np.zeros(len(first), np.int64), column.valid)


class Numbers:
    """Numbers of a field's values.

    Args:
        secret: Key of the hash of texts, 16 bytes.

    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._keys = Keys()

    def of(self, column: Column) -> Ints:
        """Return the number of each value; 0 if it is missing."""
        known = halves(column, self._secret)
        numbers, _ = self._keys.number(known.first, known.second)
        numbers[~known.there] = NOBODY
        return numbers

    @property
    def size(self) -> int:
        """One more than the largest number so far."""
        return self._keys.size

    def turn(self, used: npt.NDArray[np.bool_]) -> None:
        """See `Keys.turn`."""
        self._keys.turn(used)

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes."""
        return self._keys.nbytes


class Rows:
    """The rows [begin, end) of a batch: those of one partition.

    Args:
        columns: The batch.
        begin: First row.
        end: Row after the last one; None for all from `begin` on.

    """

    def __init__(self, columns: Columns, begin: int = 0, end: int | None = None) -> None:
        self._columns = columns
        self._begin = begin
        self._end = len(columns) if end is None else end
        self.accepted = columns.accepted[self._begin : self._end]
        """bool[n]: the row is a transaction."""
        self._currencies: dict[str, Ints] = {}

    def __len__(self) -> int:
        return self._end - self._begin

    def column(self, field: str) -> Column:
        """Return the rows of a field's column."""
        return self._columns.by_path[field].part(self._begin, self._end)

    def currencies(self, field: str) -> Ints:
        """Return the number of each transaction's currency, -1 if it has none.

        Raises:
            TypeError: The field has no codes.

        """
        if field not in self._currencies:
            column = self.column(field)
            if not isinstance(column, Codes):
                raise TypeError(f"found {type(column).__name__} in {field}, not currencies")
            self._currencies[field] = np.where(column.valid, column.codes, -1)
        return self._currencies[field]


class Grouping:
    """Slots of one grouping's keys, and of each key's currencies.

    Most accounts pay in one currency. The first currency of a key, its home, uses
    the slot of the key itself; each other currency has its own slot.

    Args:
        field: Field of the keys.
        secret: Key of the hash of texts, 16 bytes.

    """

    def __init__(self, field: str, secret: bytes) -> None:
        self.slots = _NO_SLOTS
        """Slot of each key of the rows; 0 if it is missing."""
        self._field = field
        self._secret = secret
        self._keys = Keys()
        self._known = Halves(_NO_SLOTS, _NO_SLOTS, np.zeros(0, np.bool_))
        self._currencies: dict[str, Currencies] = {}

    def take(self, rows: Rows) -> None:
        """Assign slots to the keys of some rows."""
        self._rows = rows
        self._known = halves(rows.column(self._field), self._secret)
        self.slots, fresh = self._keys.number(self._known.first, self._known.second)
        self.slots[~self._known.there] = NOBODY
        self._forget(fresh)
        for currencies in self._currencies.values():
            currencies.pairs = None

    def pairs(self, field: str) -> Ints:
        """Return the slots of each key and currency; 0 if one of them is missing."""
        if field not in self._currencies:
            self._currencies[field] = Currencies(len(self._currencies))
        currencies = self._currencies[field]
        if currencies.pairs is None:
            currencies.pairs = self._pair(self._rows.currencies(field), currencies)
        return currencies.pairs

    @property
    def size(self) -> int:
        """One more than the largest slot so far."""
        return self._keys.size

    def turn(self, occupied: npt.NDArray[np.bool_]) -> None:
        """Free the keys that have not occurred since the last call and have no entries.

        Args:
            occupied: bool[n]: the slot has entries; slots from n on have none.

        """
        used = occupied.copy()
        for currencies in self._currencies.values():
            # A key whose other currencies have entries stays, or it would get another home.
            owners = currencies.owners[np.flatnonzero(occupied[: len(currencies.owners)])]
            used[owners[owners < len(used)]] = True
        self._keys.turn(used)

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes."""
        return self._keys.nbytes + sum(c.nbytes for c in self._currencies.values())

    def _pair(self, paid_in: Ints, currencies: Currencies) -> Ints:
        currencies.reach(self._keys.size)
        slots, elsewhere = np.empty_like(self.slots), np.empty_like(self.slots)
        found = pair(self.slots, paid_in, currencies.homes, slots, elsewhere)
        if not found:
            return slots
        rows = elsewhere[:found]
        salts = paid_in[rows] + len(CURRENCIES) * currencies.index
        keys = mixed(self._known.first[rows], self._known.second[rows], salts)
        slots[rows], fresh = self._keys.number(*keys)
        self._forget(fresh)
        currencies.reach(self._keys.size)
        currencies.owners[slots[rows]] = self.slots[rows]
        return slots

    def _forget(self, fresh: Ints) -> None:
        """Remove what belonged to the earlier keys of slots that are reused."""
        if len(fresh):
            for currencies in self._currencies.values():
                currencies.forget(fresh)


class Currencies:
    """The currencies of a grouping's keys, for one field of the transaction."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.pairs: Ints | None = None
        self.homes: npt.NDArray[np.int16] = np.full(1, -1, np.int16)
        """By the slot of a key: the number of its first currency, -1 before there is one."""
        self.owners: npt.NDArray[np.int32] = np.zeros(1, np.int32)
        """By the slot of a key's other currency: the slot of the key, else 0."""

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes."""
        return self.homes.nbytes + self.owners.nbytes

    def reach(self, size: int) -> None:
        """Grow to a number of slots."""
        if len(self.homes) < size:
            more = size + size // 8 - len(self.homes)
            self.homes = np.concatenate([self.homes, np.full(more, -1, np.int16)])
            self.owners = np.concatenate([self.owners, np.zeros(more, np.int32)])

    def forget(self, slots: Ints) -> None:
        """Remove what belonged to these slots before."""
        known = slots[slots < len(self.homes)]
        self.homes[known] = -1
        self.owners[known] = 0
