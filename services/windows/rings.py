"""The entries of a slot: added, moved to a larger or smaller ring, and dropped.

An entry in order is appended in O(1). A late one is inserted at its place, and every
later entry moves up by one, in a few ns each.
"""

from __future__ import annotations

from services.compiled import Ints, compiled, entry_point, inlined, signed, unsigned
from services.windows.distinct import clear, cut, leave, pop, push, span
from services.windows.extremes import seal
from services.windows.store import (
    BLOCK,
    ENTRIES,
    SMALLEST,
    Row,
    Store,
    allocate,
    carry,
    grown,
    place,
    prefix,
    release,
    seek,
    value,
)

RENUMBER = 1 << 30
"""Above this, entries are numbered from 0 again in a new ring, before int32 overflows."""


@inlined
def append(store: Store, row: Row, time: int, number: int) -> None:
    """Append the latest entry; the ring must have room for it."""
    here = place(row, row.end)
    store.entries[2 * here] = time
    store.entries[2 * here + 1] = signed(row.total)
    if len(store.highs) > 0:
        store.highs[here] = row.total_high
    _grow_total(row, number)
    row.end += 1
    store.gauges[ENTRIES] += 1
    if len(store.links) > 0:
        push(store, row, row.end - 1)
    if len(store.minima) + len(store.maxima) > 0 and row.end % BLOCK == 0:
        seal(store, row, row.end - BLOCK, row.end)


@compiled
def insert(store: Store, row: Row, slot: int, at: int, time: int, number: int) -> None:
    """Insert a late entry as number `at`; the ring must have room for it."""
    linked = len(store.links) > 0
    if linked:
        cut(store, row, slot, at)
        for i in range(row.end - 1, at - 1, -1):
            pop(store, row, i)
    for i in range(row.end, at, -1):
        _move_up(store, row, i, number)
    store.entries[2 * place(row, at)] = time
    _grow_total(row, number)
    row.end += 1
    store.gauges[ENTRIES] += 1
    if linked:
        for i in range(at, row.end):
            push(store, row, i)
    if len(store.minima) + len(store.maxima) > 0:
        seal(store, row, at, row.end)


@compiled
def _move_up(store: Store, row: Row, i: int, number: int) -> None:
    """Make entry i - 1 entry i, with `number` more before it. Its old prefix is not changed."""
    there, here = place(row, i - 1), place(row, i)
    low = unsigned(store.entries[2 * there + 1])
    moved = low + unsigned(number)
    store.entries[2 * here] = store.entries[2 * there]
    store.entries[2 * here + 1] = signed(moved)
    if len(store.highs) > 0:
        store.highs[here] = store.highs[there] + carry(low, moved, number)


@inlined
def _grow_total(row: Row, number: int) -> None:
    low = row.total
    row.total = low + unsigned(number)
    row.total_high += carry(low, row.total, number)


@compiled
def make_room(store: Store, slot: int, horizon: int) -> bool:
    """Make room for one more entry, and for its number; False if the pool is used up."""
    row = store.table[slot]
    trim(store, row, slot, horizon)
    live = row.end - row.first
    if live < row.capacity and row.end < RENUMBER:
        return True
    return resize(store, slot, row.capacity if live < row.capacity else grown(row.capacity))


@compiled
def trim(store: Store, row: Row, slot: int, horizon: int) -> None:
    """Drop the entries up to `horizon` (ms), which no window can reach any more."""
    first = seek(store, row, row.first, row.end, row.first, horizon)
    if first == row.first:
        return
    if len(store.links) > 0:
        leave(store, row, slot, first)
    store.gauges[ENTRIES] -= first - row.first
    row.first = first
    while first - row.origin >= row.capacity:
        row.origin += row.capacity


@compiled
def resize(store: Store, slot: int, capacity: int) -> bool:
    """Move a slot to a ring of another size; False if the pool is used up."""
    row = store.table[slot]
    old, old_capacity = row.base, row.capacity
    base = allocate(store, capacity)
    if base < 0:
        return False
    move(store, store, slot, base, capacity)
    if old_capacity > 0:
        release(store, old, old_capacity)
    return True


@compiled
def move(old: Store, new: Store, slot: int, base: int, capacity: int) -> None:
    """Copy a slot's entries to a ring at `base`, numbered from 0. Costs O(entries)."""
    row = new.table[slot]
    first, live = row.first, row.end - row.first
    for i in range(live):
        there = place(row, first + i)
        new.entries[2 * (base + i)] = old.entries[2 * there]
        new.entries[2 * (base + i) + 1] = old.entries[2 * there + 1]
        if len(old.highs) > 0:
            new.highs[base + i] = old.highs[there]
    row.base, row.capacity, row.first, row.end, row.origin = base, capacity, 0, live, 0
    lengths = len(new.hints) // len(new.table)
    for i in range(slot * lengths, slot * lengths + lengths):
        new.hints[i] = max(0, new.hints[i] - first)
    if len(new.links) > 0:
        clear(new, row)
        for i in range(live):
            push(new, row, i)
        for window in range(lengths):
            at = span(new, slot, window)
            new.spans[at] -= first
            new.spans[at + 1] -= first
    seal(new, row, 0, live)


@compiled
def empty(store: Store, slot: int) -> None:
    """Free the ring of a slot with all of its entries."""
    row = store.table[slot]
    if row.capacity == 0:
        return
    release(store, row.base, row.capacity)
    store.gauges[ENTRIES] -= row.end - row.first
    _vacate(store, row, slot)


@compiled
def _vacate(store: Store, row: Row, slot: int) -> None:
    """Reset a slot whose ring was freed."""
    row.base = row.capacity = row.first = row.end = row.origin = 0
    row.total = unsigned(0)
    row.total_high = 0
    lengths = len(store.hints) // len(store.table)
    for i in range(slot * lengths, (slot + 1) * lengths):
        store.hints[i] = 0
    if len(store.spans) > 0:
        for i in range(3 * slot * lengths, 3 * (slot + 1) * lengths):
            store.spans[i] = 0


@entry_point
def sweep(store: Store, horizon: int, begin: int, stop: int) -> None:
    """Trim slots [begin, stop); those at most half full get a smaller ring or none."""
    for slot in range(begin, stop):
        row = store.table[slot]
        if row.capacity == 0:
            continue
        trim(store, row, slot, horizon)
        live = row.end - row.first
        if live == 0:
            empty(store, slot)
        elif live <= row.capacity // 2 and row.capacity > SMALLEST:
            resize(store, slot, fitting(live))


@entry_point
def mark_values(store: Store, used: Ints) -> None:
    """Mark the values of all entries that `used` has a place for."""
    for slot in range(len(store.table)):
        row = store.table[slot]
        for i in range(row.first, row.end):
            number = value(store, row, i)
            if 0 <= number < len(used):
                used[number] = True


@compiled
def fitting(live: int) -> int:
    """Return the size of the smallest ring for a number of entries."""
    capacity = SMALLEST
    while capacity < live:
        capacity = grown(capacity)
    return capacity


@entry_point
def compact(old: Store, new: Store) -> None:
    """Move all slots to a new pool, each to a ring that fits; the other arrays are shared."""
    for slot in range(len(new.table)):
        row = new.table[slot]
        live = row.end - row.first
        if live > 0:
            capacity = fitting(live)
            move(old, new, slot, allocate(new, capacity), capacity)
        elif row.capacity > 0:
            _vacate(new, row, slot)


@entry_point
def widen(store: Store) -> None:
    """Compute the high bits of all prefixes; all values so far must be narrow."""
    for slot in range(len(store.table)):
        row = store.table[slot]
        high = 0
        for i in range(row.first, row.end):
            store.highs[place(row, i)] = high
            high += carry(prefix(store, row, i), prefix(store, row, i + 1), value(store, row, i))
        row.total_high = high
