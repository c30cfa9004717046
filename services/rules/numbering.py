"""Small numbers for what entries are grouped and counted by: keys, their currencies, values.

The windows know slots. A slot is given anew once its key was not seen for so
long that no window can reach an entry of it, so nothing has to be looked for.

A text is told from others by a hash of 128 bits (`services.windows.hashing`):
among a million keys the chance that any two are taken for one is 1.5e-27.
Numbers are told apart by themselves.
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
"""The slot of what has no key."""
_NO_SLOTS: Ints = np.zeros(0, np.int64)


class Halves(NamedTuple):
    """Keys as 128 bits each, and whether each is there."""

    first: Ints
    second: Ints
    there: npt.NDArray[np.bool_] | None


def halves(values: list[Any]) -> Halves:
    """Make keys of the values of one field: texts, numbers or truths, None where missing."""
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
        # Of the two zeros one: adding makes the negative one the other.
        first = (np.fromiter(values, np.float64, n) + 0.0).view(np.int64)
    else:
        first = np.fromiter(values, np.int64, n)
    return Halves(first, np.zeros(n, np.int64), there)


class Numbers:
    """The numbers of a field's values."""

    def __init__(self) -> None:
        self._keys = Keys()

    def of(self, values: list[Any]) -> Ints:
        """Give the number of each; 0 for what is missing."""
        known = halves(values)
        numbers, _ = self._keys.number(known.first, known.second)
        if known.there is not None:
            numbers[~known.there] = NOBODY
        return numbers

    def turn(self) -> None:
        """See `Keys.turn`."""
        self._keys.turn()

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self._keys.nbytes


class Batch:
    """A batch as columns, each made when it is first asked for."""

    def __init__(self, transactions: Sequence[Any]) -> None:
        self.transactions = transactions
        self._currencies: dict[str, Ints] = {}

    def column(self, field: str) -> list[Any]:
        """A field of each."""
        return list(map(attrgetter(field), self.transactions))

    def currencies(self, field: str) -> Ints:
        """The number of each one's currency, -1 for none."""
        if field not in self._currencies:
            numbers = map(_NUMBER_OF.__getitem__, map(attrgetter(field), self.transactions))
            self._currencies[field] = np.fromiter(numbers, np.int64, len(self.transactions))
        return self._currencies[field]


class Grouping:
    """The slots of one grouping's keys, and of each key's currencies.

    Most accounts pay in one currency. The first that is seen of a key, its
    home, has the slot of the key itself; each other has one of its own.
    """

    def __init__(self, field: str) -> None:
        self.slots = _NO_SLOTS
        """The slot of each key of the batch; 0 where it is missing."""
        self._field = field
        self._keys = Keys()
        self._known = Halves(_NO_SLOTS, _NO_SLOTS, None)
        self._currencies: dict[str, Currencies] = {}
        self._batch = Batch(())

    def take(self, batch: Batch) -> None:
        """Number the keys of a batch."""
        self._batch = batch
        self._known = halves(batch.column(self._field))
        self.slots, fresh = self._keys.number(self._known.first, self._known.second)
        if self._known.there is not None:
            self.slots[~self._known.there] = NOBODY
        self._forget(fresh)
        for currencies in self._currencies.values():
            currencies.pairs = None

    def pairs(self, field: str) -> Ints:
        """The slots of each one's key and currency; 0 where one of them is missing."""
        if field not in self._currencies:
            self._currencies[field] = Currencies(len(self._currencies))
        currencies = self._currencies[field]
        if currencies.pairs is None:
            currencies.pairs = self._pair(self._batch.currencies(field), currencies)
        return currencies.pairs

    def turn(self) -> None:
        """See `Keys.turn`."""
        self._keys.turn()

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self._keys.nbytes + sum(c.homes.nbytes for c in self._currencies.values())

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
        return slots

    def _forget(self, fresh: Ints) -> None:
        """Let numbers that were given anew have nothing of what had them before."""
        if len(fresh):
            for currencies in self._currencies.values():
                currencies.forget(fresh)


class Currencies:
    """The currencies of a grouping's keys, for one field of the transaction."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.pairs: Ints | None = None
        self.homes: npt.NDArray[np.int16] = np.full(1, -1, np.int16)
        """By a key's slot: the number of its first currency, -1 before there is one."""

    def reach(self, size: int) -> None:
        """Have room for so many slots."""
        if len(self.homes) < size:
            more = size + size // 8 - len(self.homes)
            self.homes = np.concatenate([self.homes, np.full(more, -1, np.int16)])

    def forget(self, slots: Ints) -> None:
        """Forget what had these slots before."""
        self.homes[slots[slots < len(self.homes)]] = -1
