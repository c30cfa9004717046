"""The memory of a series: a few large arrays, and how compiled code finds its way in them.

Each slot's entries lie in a ring cut from one pool. They are numbered in event
time (same times: as they came): `first` is the oldest, `end` one past the
newest, and number i lies at `base + i mod capacity`. An entry is its time and
its *prefix*, the sum of all values before it in the slot mod 2^64, so the sum
of a window is the difference of two prefixes, whatever its length, and a value
that of two neighbours.

A sum that int64 cannot hold is seen by the 32 bits of the prefixes above those
64. They are kept (in `highs`) from the first value on that is not `NARROW`:
until then no sum can get so far.

What goes with an entry lies at the same place of other pools, and those that no
query needs are empty.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from services.windows.compiled import Ints, compiled, inlined

SMALLEST = 4
"""Places in the smallest ring: 64 bytes."""

BLOCK = 16
"""Entries that share one node of the trees of `extremes`."""

NARROW = 1 << 36
"""Sums of values below this fit int64 up to 2^27 entries a slot, which is 2 GB."""

TOP, FREE, ENTRIES, STREAM_TIME, WANTED, TOUCHED = range(6)
"""Places of `gauges`: places of the pool ever cut and, of these, free ones; live
entries; the largest event time seen (ms); the ring that there was no room for;
and whatever was read ahead of its use."""

ROW = np.dtype(
    [
        ("total", np.uint64),
        ("base", np.int32),
        ("total_high", np.int32),
        ("capacity", np.int32),
        ("first", np.int32),
        ("end", np.int32),
        ("origin", np.int32),
    ]
)
"""A slot, 32 bytes. `capacity` 0: it has no ring and no entries. `total` and
`total_high` are the prefix of the entry to come. `origin` is the multiple of the
capacity up to `first`, so that no division is needed."""


class Row(Protocol):
    """`ROW` for the type checker."""

    base: int
    total: int
    total_high: int
    capacity: int
    first: int
    end: int
    origin: int


class Rows(Protocol):
    """A column of rows; what it gives is a reference."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Row: ...


class Store(NamedTuple):
    """All arrays of a series of S slots, W window lengths and a pool of P places.

    `minima`, `maxima`, `previous`, `links` and `buckets` belong to `extremes`
    and `distinct`, `spans` too.
    """

    table: Rows  # ROW[S]
    hints: Ints  # int32[S * W]: where each window began when last asked
    spans: Ints  # int32[S * W * 3] or empty
    entries: Ints  # int64[P * 2]: time (ms), prefix
    highs: Ints  # int32[P], or empty while all values are narrow
    minima: Ints  # int64[P / 8] or empty
    maxima: Ints  # int64[P / 8] or empty
    previous: Ints  # int32[P] or empty
    links: Ints  # int32[P] or empty
    buckets: Ints  # int32[P / 2] or empty
    free: Ints  # int64[128]: the first free ring of each size, -1 for none
    gauges: Ints  # int64[6]


@inlined
def unsigned(number: int) -> int:
    """Take an int64 mod 2^64: compiled code may only let unsigned numbers overflow."""
    return np.uint64(number)  # type: ignore[return-value]


@inlined
def signed(number: int) -> int:
    """Take a number mod 2^64 for the int64 that it stands for."""
    return np.int64(number)  # type: ignore[return-value]


@inlined
def place(row: Row, i: int) -> int:
    """Where entry i lies in the pool."""
    offset = i - row.origin
    return row.base + (offset if offset < row.capacity else offset - row.capacity)


@inlined
def time_of(store: Store, row: Row, i: int) -> int:
    """Give the event time of entry i."""
    return store.entries[2 * place(row, i)]


@inlined
def prefix(store: Store, row: Row, i: int) -> int:
    """Give the sum, mod 2^64, of the values before entry i; i may be `end`."""
    return row.total if i == row.end else unsigned(store.entries[2 * place(row, i) + 1])


@inlined
def prefix_high(store: Store, row: Row, i: int) -> int:
    """Give the bits of the prefix above the lowest 64."""
    return row.total_high if i == row.end else store.highs[place(row, i)]


@inlined
def value(store: Store, row: Row, i: int) -> int:
    """Give the value of entry i."""
    return signed(prefix(store, row, i + 1) - prefix(store, row, i))


@inlined
def carry(before: int, after: int, added: int) -> int:
    """Give what the high bits of a prefix gain when an int64 is added to the low ones."""
    return (added >> 63) + (after < before)


@inlined
def seek(store: Store, row: Row, low: int, high: int, at: int, edge: int) -> int:
    """Find the first entry of [low, high] later than `edge` (ms), looking around `at` first.

    Gallops, so it costs O(log distance).
    """
    step = 1
    if at < high and time_of(store, row, at) <= edge:
        while at + step < high and time_of(store, row, at + step) <= edge:
            at += step
            step += step
        low, high = at + 1, min(high, at + step)
    else:
        while at - step >= low and time_of(store, row, at - step) > edge:
            at -= step
            step += step
        low, high = max(low, at - step + 1), at
    while low < high:
        middle = (low + high) >> 1
        if time_of(store, row, middle) <= edge:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def size_class(capacity: int) -> int:
    """Number the sizes of rings."""
    number, size = 0, SMALLEST
    while size < capacity:
        size = grown(size)
        number += 1
    return number


@compiled
def grown(capacity: int) -> int:
    """Give the next larger size of a ring: 4, 6, 8 … 16, then a quarter of a power of two more."""
    if capacity < BLOCK:
        return max(SMALLEST, capacity + 2)
    power = BLOCK
    while 2 * power <= capacity:
        power *= 2
    return capacity + max(BLOCK, power // 4)


@compiled
def allocate(store: Store, capacity: int) -> int:
    """Cut a ring from the pool; -1, and `WANTED` set, when there is no room."""
    number = size_class(capacity)
    base = store.free[number]
    if base >= 0:
        store.free[number] = store.entries[2 * base]
        store.gauges[FREE] -= capacity
        return base
    base = store.gauges[TOP]
    if 2 * (base + capacity) > len(store.entries):
        store.gauges[WANTED] = capacity
        return -1
    store.gauges[TOP] = base + capacity
    return base


@compiled
def release(store: Store, base: int, capacity: int) -> None:
    """Hand a ring back; the free rings of a size are chained through their first time."""
    number = size_class(capacity)
    store.entries[2 * base] = store.free[number]
    store.free[number] = base
    store.gauges[FREE] += capacity
