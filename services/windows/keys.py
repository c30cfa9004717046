"""Hash table from 128-bit keys to dense integers; unused keys expire.

A key is 128 bits, (first, second). An entry of the table has these and, packed into
one integer, the key's number and the last turn in which the key was used; 0 marks an
empty place. Collisions are resolved by linear probing, beginning at a place computed
from the first half. Entries are removed only at a turn, by building a new table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from services.compiled import Ints, compiled, entry_point, inlined, signed, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

AHEAD = 16
"""Number of keys whose memory is fetched together."""

COUNT, NEXT, FREED, TURN, FRESH, TOUCHED = range(6)
"""Places of `gauges`: keys in the table; the next number that was never used; length of
`free`; the turn; number of new keys in the last call; sink for values that are read ahead."""

_FIRST_PLACES = 1024
_NUMBER = (1 << 32) - 1
_NONE_USED: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)


class Table(NamedTuple):
    """All arrays of a table with P places."""

    places: Ints  # int64[P * 3]
    free: Ints  # int64: numbers to be reused, as a stack
    gauges: Ints  # int64[6]


@inlined
def _home(first: int, places: int) -> int:
    """Return the place at which the search for a key begins.

    It is the upper half of the product with 2^64 over the golden ratio, mapped to the range by a
    multiplication: https://lemire.me/blog/2016/06/27/a-fast-alternative-to-the-modulo-reduction/
    """
    spread = unsigned(first) * unsigned(0x9E3779B97F4A7C15) >> unsigned(32)
    return signed(spread * unsigned(places) >> unsigned(32))


@entry_point
def number(table: Table, first: Ints, second: Ints, begin: int, numbers: Ints, fresh: Ints) -> int:
    """Number keys from `begin` on; return where it stopped because the table was too full.

    `numbers` gets the number of each key, `fresh` the numbers that this call reuses.
    """
    places, gauges = table.places, table.gauges
    size = len(places) // 3
    most = size * 3 // 4
    stamp = gauges[TURN] << 32
    gauges[FRESH] = 0
    for i in range(begin, len(first)):
        if (i - begin) % AHEAD == 0:
            for j in range(i, min(i + AHEAD, len(first))):
                gauges[TOUCHED] ^= places[3 * _home(first[j], size)]
        at = 3 * _home(first[i], size)
        while places[at + 2] != 0 and (places[at] != first[i] or places[at + 1] != second[i]):
            at = at + 3 if at + 3 < len(places) else 0
        own = places[at + 2] & _NUMBER
        if own == 0:
            if gauges[COUNT] >= most:
                return i
            gauges[COUNT] += 1
            if gauges[FREED] > 0:
                gauges[FREED] -= 1
                own = table.free[gauges[FREED]]
            else:
                own = gauges[NEXT]
                gauges[NEXT] += 1
            places[at], places[at + 1] = first[i], second[i]
            fresh[gauges[FRESH]] = own
            gauges[FRESH] += 1
        places[at + 2] = stamp | own
        numbers[i] = own
    return len(first)


@compiled
def _put(table: Table, first: int, second: int, packed: int) -> None:
    at = 3 * _home(first, len(table.places) // 3)
    while table.places[at + 2] != 0:
        at = at + 3 if at + 3 < len(table.places) else 0
    table.places[at], table.places[at + 1] = first, second
    table.places[at + 2] = packed


@entry_point
def move(old: Table, new: Table, since: int, used: Ints) -> None:
    """Copy keys that were used since a turn or are in use; other numbers become free."""
    gauges = new.gauges
    for at in range(0, len(old.places), 3):
        packed = old.places[at + 2]
        if packed == 0:
            continue
        number = packed & _NUMBER
        if packed >> 32 >= since or (number < len(used) and used[number]):
            _put(new, old.places[at], old.places[at + 1], packed)
        else:
            gauges[COUNT] -= 1
            new.free[gauges[FREED]] = number
            gauges[FREED] += 1


@entry_point
def mix(first: Ints, second: Ints, salts: Ints) -> None:
    """Replace keys by other keys, in place: equal keys with an equal salt stay equal."""
    for i in range(len(first)):
        salt = unsigned(salts[i] + 1) * unsigned(0xD1342543DE82EF95)
        a = (unsigned(first[i]) ^ salt) * unsigned(0xBF58476D1CE4E5B9)
        b = (unsigned(second[i]) + salt) * unsigned(0x94D049BB133111EB)
        first[i] = signed(a ^ (b >> unsigned(29)))
        second[i] = signed(b ^ (a >> unsigned(31)))


def mixed(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], salts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return other keys; equal keys with an equal salt (a number from 0) stay equal."""
    first, second = first.copy(), second.copy()
    mix(_ints(first), _ints(second), _ints(salts))
    return first, second


class Keys:
    """Numbers for keys, from 1; a number is reused if its key does not occur between two turns.

    Numbers in use are kept, however long ago their keys occurred.
    """

    def __init__(self) -> None:
        self._table = Table(
            _ints(np.zeros(3 * _FIRST_PLACES, np.int64)),
            _ints(np.zeros(_FIRST_PLACES, np.int64)),
            _ints(np.array([0, 1, 0, 1, 0, 0])),
        )

    @property
    def size(self) -> int:
        """One more than the largest number so far."""
        return int(self._table.gauges[NEXT])

    @property
    def nbytes(self) -> int:
        """Memory of the table, in bytes."""
        return sum(cast("npt.NDArray[Any]", array).nbytes for array in self._table)

    def number(
        self, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the number of each key, and the reused ones among these numbers.

        Args:
            first: int64[n], the first half of each key.
            second: int64[n], the second half.

        """
        n = len(first)
        numbers, fresh = np.empty(n, np.int64), np.empty(n, np.int64)
        new = []
        done = 0
        while True:
            done = number(
                self._table, _ints(first), _ints(second), done, _ints(numbers), _ints(fresh)
            )
            new.append(fresh[: self._table.gauges[FRESH]].copy())
            if done == n:
                return numbers, new[0] if len(new) == 1 else np.concatenate(new)
            self._remake(len(self._table.places) // 3 * 5 // 4, 0)

    def turn(self, used: npt.NDArray[np.bool_]) -> None:
        """Free the keys that did not occur since the last turn and whose numbers are not in use.

        Args:
            used: bool[n]: the number is in use; numbers from n on are not.

        """
        gauges = self._table.gauges
        places = len(self._table.places) // 3
        self._remake(places, gauges[TURN], used)
        while places > _FIRST_PLACES and gauges[COUNT] < places // 8:
            places //= 2
            self._remake(places, 0)
        gauges[TURN] += 1

    def _remake(self, places: int, since: int, used: npt.NDArray[np.bool_] = _NONE_USED) -> None:
        old = self._table
        free = cast("npt.NDArray[Any]", old.free)
        if since and len(free) < self.size:  # up to this many may become free
            free = np.concatenate([free, np.zeros(self.size - len(free), np.int64)])
        self._table = Table(_ints(np.zeros(3 * places, np.int64)), _ints(free), old.gauges)
        move(old, self._table, since, cast("Ints", used))


def prepare() -> None:
    """Compile the code, or load it from the cache."""
    keys = Keys()
    one = np.ones(1, np.int64)
    mix(_ints(one), _ints(one), _ints(one))
    keys.number(one, one)
    keys.turn(_NONE_USED)


def _ints(array: npt.NDArray[np.int64]) -> Ints:
    return cast("Ints", array)
