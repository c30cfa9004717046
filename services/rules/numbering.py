"""Dense integer ids for grouping keys, their currencies, and counted values.

A window is identified by a slot. A slot is reused once its key has not occurred for some
time and there are no entries in it, nor in the slots of the key's other currencies.

A text is identified by a hash of 128 bits (`services.windows.hashing`): among a
million keys the probability that any two have the same hash is 1.5e-27. A number is
identified by its own value.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.transactions.currencies import DECIMALS
from services.windows.hashing import hashed
from services.windows.keys import Keys, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

CODES = {code: i for i, code in enumerate(sorted(DECIMALS))}
"""The number of each currency."""
_NUMBER_OF: dict[str | None, int] = {None: -1} | dict(CODES)
NOBODY = 0
"""The slot for transactions without a key."""
_NO_SLOTS: Ints = np.zeros(0, np.int64)


class Halves(NamedTuple):
    """Keys of 128 bits, as two columns, and for each whether it is present."""

    first: Ints
    second: Ints
    there: npt.NDArray[np.bool_] | None


def halves(values: list[Any]) -> Halves:
    """Convert the values of one field to keys: texts, numbers or truths, None if missing."""
    n = len(values)
    there = None
    if None in values:
        there = np.fromiter((value is not None for value in values), np.bool_, n)
        known = next((value for value in values if value is not None), 0)
        blank = "" if isinstance(known, str) else 0
        values = [blank if value is None else value for value in values]
    if isinstance(values[0], str):
        return Halves(*hashed(values), there)
    if any(isinstance(value, float) for value in values):
        # Adding 0.0 turns the negative zero into the positive one, so both have the same key.
        first = (np.fromiter(values, np.float64, n) + 0.0).view(np.int64)
    else:
        first = np.fromiter(values, np.int64, n)
    return Halves(first, np.zeros(n, np.int64), there)


class Numbers:
    """Numbers of a field's values."""

    def __init__(self) -> None:
        self._keys = Keys()

    def of(self, values: list[Any]) -> Ints:
        """Return the number of each value; 0 if it is missing."""
        known = halves(values)
        numbers, _ = self._keys.number(known.first, known.second)
        if known.there is not None:
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


class Batch:
    """A batch as columns, each made on first use."""

    def __init__(self, transactions: Sequence[Any]) -> None:
        self.transactions = transactions
        self._currencies: dict[str, Ints] = {}

    def column(self, field: str) -> list[Any]:
        """Return the values of a field."""
        return list(map(attrgetter(field), self.transactions))

    def currencies(self, field: str) -> Ints:
        """Return the number of each transaction's currency, -1 if it has none."""
        if field not in self._currencies:
            numbers = map(_NUMBER_OF.__getitem__, map(attrgetter(field), self.transactions))
            self._currencies[field] = np.fromiter(numbers, np.int64, len(self.transactions))
        return self._currencies[field]


class Grouping:
    """Slots of one grouping's keys, and of each key's currencies.

    Most accounts pay in one currency. The first currency of a key, its home, uses
    the slot of the key itself; each other currency has its own slot.
    """

    def __init__(self, field: str) -> None:
        self.slots = _NO_SLOTS
        """Slot of each key of the batch; 0 if it is missing."""
        self._field = field
        self._keys = Keys()
        self._known = Halves(_NO_SLOTS, _NO_SLOTS, None)
        self._currencies: dict[str, Currencies] = {}
        self._batch = Batch(())

    def take(self, batch: Batch) -> None:
        """Assign slots to the keys of a batch."""
        self._batch = batch
        self._known = halves(batch.column(self._field))
        self.slots, fresh = self._keys.number(self._known.first, self._known.second)
        if self._known.there is not None:
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
            currencies.pairs = self._pair(self._batch.currencies(field), currencies)
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
        homes = currencies.homes
        elsewhere = np.flatnonzero((homes[self.slots] != paid_in) | (paid_in < 0))
        if not len(elsewhere):
            return self.slots
        for i in elsewhere[homes[self.slots[elsewhere]] < 0].tolist():
            if homes[self.slots[i]] < 0:
                homes[self.slots[i]] = paid_in[i]
        slots = self.slots.copy()
        slots[(paid_in < 0) | (slots == NOBODY)] = NOBODY
        rows = np.flatnonzero((homes[slots] != paid_in) & (slots != NOBODY))
        if not len(rows):
            return slots
        salts = paid_in[rows] + len(CODES) * currencies.index
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
