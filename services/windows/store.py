"""The memory of a series: a few large arrays, and their layout for compiled code.

The entries of each slot are in a ring that is cut from one pool. They are numbered in the
order of event time (with equal times: of arrival): `first` is the oldest, `end` one past
the newest, and number i is at `base + i mod capacity`. An entry consists of its time and
its *prefix*, the sum of all values before it in the slot mod 2^64. So the sum of a window
is the difference of two prefixes, whatever its length, and a value is that of two
neighbours:

    entry       0    1    2    3   (end)
    value       5    7    1    4
    prefix      0    5   12   13    17       sum of entries [1, 3) = 13 - 5 = 8

Whether int64 can hold a sum is decided by the 32 bits of the prefixes above these
64. They are stored (in `highs`) from the first value on that is not `NARROW`;
before that no sum can be so large.

Other data of an entry is at the same place in other pools. Pools that no query
needs are empty.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from services.compiled import Ints, compiled, inlined, signed, unsigned

SMALLEST = 4
"""Number of places in the smallest ring: 64 bytes."""

BLOCK = 16
"""Number of entries that share one node of the trees of `extremes`."""

NARROW = 1 << 36
"""Sums of values below this fit into int64 up to 2^27 entries a slot, which is 2 GB."""

TOP, FREE, ENTRIES, STREAM_TIME, WANTED, TOUCHED = range(6)
"""Places of `gauges`: places of the pool ever cut and, of these, free ones; live entries;
the stream time of the last call (ms); the size of the ring that there was no room for; sink
for values that are read before their use."""

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
"""A slot, 32 bytes. `capacity` 0 means no ring and no entries. `total` and
`total_high` are the prefix of the next entry. `origin` is the largest multiple of the
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
    """A column of rows; an item is a reference to a row."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Row: ...


class Store(NamedTuple):
    """All arrays of a series of S slots, W window lengths and a pool of P places.

    `minima` and `maxima` belong to `extremes`; `previous`, `links`, `buckets` and `spans` to
    `distinct`.
    """

    table: Rows  # ROW[S]
    hints: Ints  # int32[S * W]: where each window began in the last query
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
def place(row: Row, i: int) -> int:
    """Return the place of entry i in the pool."""
    offset = i - row.origin
    return row.base + (offset if offset < row.capacity else offset - row.capacity)


@inlined
def time_of(store: Store, row: Row, i: int) -> int:
    """Return the event time of entry i."""
    return store.entries[2 * place(row, i)]


@inlined
def prefix(store: Store, row: Row, i: int) -> int:
    """Return the sum, mod 2^64, of the values before entry i; i may be `end`."""
    return row.total if i == row.end else unsigned(store.entries[2 * place(row, i) + 1])


@inlined
def prefix_high(store: Store, row: Row, i: int) -> int:
    """Return the bits of the prefix above the lowest 64."""
    return row.total_high if i == row.end else store.highs[place(row, i)]


@inlined
def value(store: Store, row: Row, i: int) -> int:
    """Return the value of entry i."""
    return signed(prefix(store, row, i + 1) - prefix(store, row, i))


@inlined
def carry(before: int, after: int, added: int) -> int:
    """Return the change of a prefix's high bits when an int64 is added to the low ones."""
    return (added >> 63) + (after < before)


@inlined
def seek(store: Store, row: Row, low: int, high: int, at: int, edge: int) -> int:
    """Find the first entry of [low, high] later than `edge` (ms), beginning the search at `at`.

    It gallops (exponential search), so it costs O(log distance).
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
    """Return the index of a ring size."""
    number, size = 0, SMALLEST
    while size < capacity:
        size = grown(size)
        number += 1
    return number


@compiled
def grown(capacity: int) -> int:
    """Return the next larger ring size: 4, 6, 8 … 16, then a quarter of a power of two more."""
    if capacity < BLOCK:
        return max(SMALLEST, capacity + 2)
    power = BLOCK
    while 2 * power <= capacity:
        power *= 2
    return capacity + max(BLOCK, power // 4)


@compiled
def allocate(store: Store, capacity: int) -> int:
    """Cut a ring from the pool; -1, and `WANTED` set, if there is no room."""
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
    """Free a ring; the free rings of a size are chained through their first time."""
    number = size_class(capacity)
    store.entries[2 * base] = store.free[number]
    store.free[number] = base
    store.gauges[FREE] += capacity
