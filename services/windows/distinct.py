"""The number of distinct values in a window, in amortised O(1).

Entries with the same value are linked. `previous` is the number of the entry before
with the same value (any number below `first` means that there is none). `links` is
the complement of the number of the entry after. The last entry of a value has none.
It is instead in a chain of the ring's hash table, and its `links` is the next member of
the chain, always an older entry (-1 ends it). `buckets` holds the newest entry of each
chain. A chain has one member for each value, newest first, so entries that leave at the
old end of the ring need not be removed from it.

A *span* is a range of entries with its number of distinct values. There is one for each
slot and window. It grows and shrinks at either end in O(1): an entry adds a value if
its neighbour with the same value is outside the span. An entry in order moves the span
by one, and past the entries that have left the window. A late entry moves it there and
back: O(entries later than it, and as many at the window's other edge).
"""

from __future__ import annotations

from services.compiled import compiled
from services.windows.store import Row, Store, place, value

LOW, HIGH, COUNT = range(3)


@compiled
def _bucket(row: Row, number: int) -> int:
    """Return the bucket of a value's chain; multiplies by 2^32 over the golden ratio."""
    mixed = ((number ^ (number >> 32)) & 0x7FFFFFFF) * 0x9E3779B1
    return row.base // 2 + (mixed >> 16) % (row.capacity // 2)


@compiled
def clear(store: Store, row: Row) -> None:
    """Initialise the hash table of a new ring."""
    for bucket in range(row.base // 2, (row.base + row.capacity) // 2):
        store.buckets[bucket] = -1


@compiled
def push(store: Store, row: Row, i: int) -> None:
    """Link entry i, which must be newer than all linked ones."""
    own = value(store, row, i)
    bucket = _bucket(row, own)
    at = store.buckets[bucket]
    newer = -1
    while at >= row.first and value(store, row, at) != own:
        newer = at
        at = store.links[place(row, at)]
    here = place(row, i)
    store.previous[here] = -1
    if at >= row.first:
        there = place(row, at)
        if newer < 0:
            store.buckets[bucket] = store.links[there]
        else:
            store.links[place(row, newer)] = store.links[there]
        store.links[there] = ~i
        store.previous[here] = at
    store.links[here] = store.buckets[bucket]
    store.buckets[bucket] = i


@compiled
def pop(store: Store, row: Row, i: int) -> None:
    """Unlink entry i, the newest linked one: undoes `push`."""
    bucket = _bucket(row, value(store, row, i))
    at = store.links[place(row, i)]
    again = store.previous[place(row, i)]
    store.buckets[bucket] = at
    if again < row.first:
        return
    newer = -1
    while at > again:
        newer = at
        at = store.links[place(row, at)]
    store.links[place(row, again)] = at
    if newer < 0:
        store.buckets[bucket] = again
    else:
        store.links[place(row, newer)] = again


@compiled
def span(store: Store, slot: int, window: int) -> int:
    """Return the place of the span of a slot and window in `spans`."""
    return (slot * (len(store.hints) // len(store.table)) + window) * 3


@compiled
def turn(store: Store, row: Row, at: int, low: int, high: int) -> int:
    """Move a span to entries [low, high), one entry a step; return its number of values."""
    spans = store.spans
    begin, end, count = spans[at + LOW], spans[at + HIGH], spans[at + COUNT]
    while begin > low:
        begin -= 1
        count += _next(store, row, begin) >= end
    while end < high:
        count += store.previous[place(row, end)] < begin
        end += 1
    while begin < low:
        count -= _next(store, row, begin) >= end
        begin += 1
    while end > high:
        end -= 1
        count -= store.previous[place(row, end)] < begin
    spans[at + LOW], spans[at + HIGH], spans[at + COUNT] = begin, end, count
    return count


@compiled
def _next(store: Store, row: Row, i: int) -> int:
    link = store.links[place(row, i)]
    return row.end if link >= -1 else ~link


@compiled
def leave(store: Store, row: Row, slot: int, first: int) -> None:
    """Remove the entries before `first`, which are about to be dropped, from the spans."""
    for window in range(len(store.hints) // len(store.table)):
        at = span(store, slot, window)
        if store.spans[at + HIGH] <= first:
            store.spans[at + LOW] = store.spans[at + HIGH] = first
            store.spans[at + COUNT] = 0
        else:
            turn(store, row, at, max(first, store.spans[at + LOW]), store.spans[at + HIGH])


@compiled
def cut(store: Store, row: Row, slot: int, limit: int) -> None:
    """Remove the entries from `limit` on, whose numbers are about to change, from the spans."""
    for window in range(len(store.hints) // len(store.table)):
        at = span(store, slot, window)
        if store.spans[at + HIGH] > limit:
            turn(store, row, at, min(limit, store.spans[at + LOW]), limit)
