"""Small numbers for keys: a hash table that forgets what was not asked for.

A key is 128 bits, (first, second). An entry of the table is those and, packed in
one integer, the number and the last turn that the key was asked for in; 0 is an
empty place. Looked for one place after the other, from where the first half
points. Entries are taken out only at a turn, by making the table anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from services.windows.compiled import Ints, compiled, entry_point, inlined
from services.windows.store import signed, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

AHEAD = 16
"""Keys whose memory is fetched together."""

COUNT, NEXT, FREED, TURN, FRESH, TOUCHED = range(6)
"""Places of `gauges`: keys in the table; the next number never given; how many numbers lie
in `free`; the turn; how many of the last call were new; whatever was read ahead."""

_FIRST_PLACES = 1024
_NUMBER = (1 << 32) - 1


class Table(NamedTuple):
    """All of it, for P places."""

    places: Ints  # int64[P * 3]
    free: Ints  # int64: numbers to be given anew, as a stack
    gauges: Ints  # int64[6]


@inlined
def _home(first: int, places: int) -> int:
    """Give the place where a key is looked for first.

    The upper half of its product with 2^64 over the golden ratio, brought into the range by
    multiplying: https://lemire.me/blog/2016/06/27/a-fast-alternative-to-the-modulo-reduction/
    """
    spread = unsigned(first) * unsigned(0x9E3779B97F4A7C15) >> unsigned(32)
    return signed(spread * unsigned(places) >> unsigned(32))


@entry_point
def number(table: Table, first: Ints, second: Ints, begin: int, numbers: Ints, fresh: Ints) -> int:
    """Number keys from `begin` on; how far it came before the table was too full.

    `numbers` gets each one's number, `fresh` the numbers given anew by this call.
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
def move(old: Table, new: Table, since: int) -> None:
    """Take over what was asked for since a turn; the numbers of the rest become free."""
    gauges = new.gauges
    for at in range(0, len(old.places), 3):
        packed = old.places[at + 2]
        if packed == 0:
            continue
        if packed >> 32 >= since:
            _put(new, old.places[at], old.places[at + 1], packed)
        else:
            gauges[COUNT] -= 1
            new.free[gauges[FREED]] = packed & _NUMBER
            gauges[FREED] += 1


@entry_point
def mix(first: Ints, second: Ints, salts: Ints) -> None:
    """Make other keys of keys, in place: the same for the same salt."""
    for i in range(len(first)):
        salt = unsigned(salts[i] + 1) * unsigned(0xD1342543DE82EF95)
        a = (unsigned(first[i]) ^ salt) * unsigned(0xBF58476D1CE4E5B9)
        b = (unsigned(second[i]) + salt) * unsigned(0x94D049BB133111EB)
        first[i] = signed(a ^ (b >> unsigned(29)))
        second[i] = signed(b ^ (a >> unsigned(31)))


def mixed(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], salts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Make other keys of keys: the same of the same key and salt, a number from 0."""
    first, second = first.copy(), second.copy()
    mix(_ints(first), _ints(second), _ints(salts))
    return first, second


class Keys:
    """Numbers for keys, from 1; given anew once a key was not asked for between two turns."""

    def __init__(self) -> None:
        self._table = Table(
            _ints(np.zeros(3 * _FIRST_PLACES, np.int64)),
            _ints(np.zeros(_FIRST_PLACES, np.int64)),
            _ints(np.array([0, 1, 0, 1, 0, 0])),
        )

    @property
    def size(self) -> int:
        """One more than the largest number ever given."""
        return int(self._table.gauges[NEXT])

    @property
    def nbytes(self) -> int:
        """How many bytes the table takes."""
        return sum(cast("npt.NDArray[Any]", array).nbytes for array in self._table)

    def number(
        self, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give the number of each key, and the numbers among them that are given anew.

        Args:
            first: int64[n], a half of each key.
            second: int64[n], the other.

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

    def turn(self) -> None:
        """Give up the keys not asked for since the last turn."""
        gauges = self._table.gauges
        places = len(self._table.places) // 3
        self._remake(places, gauges[TURN])
        while places > _FIRST_PLACES and gauges[COUNT] < places // 8:
            places //= 2
            self._remake(places, 0)
        gauges[TURN] += 1

    def _remake(self, places: int, since: int) -> None:
        old = self._table
        free = cast("npt.NDArray[Any]", old.free)
        if since and len(free) < self.size:  # so many may become free
            free = np.concatenate([free, np.zeros(self.size - len(free), np.int64)])
        self._table = Table(_ints(np.zeros(3 * places, np.int64)), _ints(free), old.gauges)
        move(old, self._table, since)


def prepare() -> None:
    """Compile, or load what was compiled."""
    keys = Keys()
    one = np.ones(1, np.int64)
    mix(_ints(one), _ints(one), _ints(one))
    keys.number(one, one)
    keys.turn()


def _ints(array: npt.NDArray[np.int64]) -> Ints:
    return cast("Ints", array)
