"""The loop over a batch: each record's entry is added, and each query is answered."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from services.compiled import Ints, entry_point, inlined, signed
from services.windows.distinct import span, turn
from services.windows.extremes import LARGEST, SMALLEST, extreme
from services.windows.rings import RENUMBER, append, insert, make_room
from services.windows.store import (
    NARROW,
    STREAM_TIME,
    TOUCHED,
    Row,
    Store,
    carry,
    prefix,
    prefix_high,
    seek,
    time_of,
)

AHEAD = 16
"""Number of records whose memory is fetched together."""

COUNT, SUM, MIN, MAX, DISTINCT = range(5)


class Plan(NamedTuple):
    """The queries for every record: Q queries over W window lengths."""

    functions: Ints  # int64[Q]: COUNT, SUM, …
    windows: Ints  # int64[Q]: index of the length
    lengths_ms: Ints  # int64[W]
    kept_ms: int  # entries before stream time minus this do not count
    sums: bool  # a sum is among the functions


class Records(NamedTuple):
    """A batch of n records, as columns."""

    slots: Ints  # int64[n]
    times: Ints  # int64[n], ms
    values: Ints  # int64[n]
    taken: Ints  # bool[n]


class Table(Protocol):
    """A column for each query, as compiled code sees it."""

    def __getitem__(self, index: tuple[int, int], /) -> int: ...
    def __setitem__(self, index: tuple[int, int], value: int, /) -> None: ...


@inlined
def is_narrow(store: Store, plan: Plan) -> bool:
    """True if sums are kept, so far without their high bits."""
    return plan.sums and len(store.highs) == 0


@entry_point
def judge(
    store: Store, plan: Plan, records: Records, begin: int, answers: Table, valid: Table
) -> int:
    """Add and judge records from `begin` on; return the first record that there is no room for.

    `answers` is int64[Q, n] and `valid` bool[Q, n]. There is no room if the pool is used
    up, or if a value needs high bits. Such a record has changed nothing, except that
    its slot may be trimmed.
    """
    narrow = is_narrow(store, plan)
    horizon = store.gauges[STREAM_TIME] - plan.kept_ms
    for i in range(begin, len(records.slots)):
        if (i - begin) % AHEAD == 0:
            store.gauges[TOUCHED] ^= _touch(store, plan, records, i)
        slot, time = records.slots[i], records.times[i]
        row = store.table[slot]
        if not records.taken[i]:
            high = seek(store, row, row.first, row.end, row.end, time)
        else:
            if narrow and not -NARROW < records.values[i] < NARROW:
                return i
            full = row.end - row.first == row.capacity or row.end >= RENUMBER
            if full and not make_room(store, slot, horizon):
                return i
            high = _take(store, row, slot, time, records.values[i])
        for query in range(len(plan.functions)):
            low = _low(store, row, plan, slot, plan.windows[query], high, time)
            _answer(store, row, plan, slot, query, i, low, high, answers, valid)
    return len(records.slots)


@inlined
def _touch(store: Store, plan: Plan, records: Records, begin: int) -> int:
    """Read the memory of the next records, so that the processor fetches it for all at once.

    Hardly any of a large series is in the CPU's caches, and each read for one record depends
    on the read before it. This reduces the time by a third.
    """
    touched = 0
    lengths = len(plan.lengths_ms)
    stop = min(begin + AHEAD, len(records.slots))
    for i in range(begin, stop):
        slot = records.slots[i]
        touched ^= store.table[slot].end ^ store.hints[slot * lengths]
    for i in range(begin, stop):
        slot = records.slots[i]
        row = store.table[slot]
        if row.first < row.end:
            touched ^= time_of(store, row, row.end - 1)
            for hint in range(slot * lengths, slot * lengths + lengths):
                low = min(max(store.hints[hint], row.first), row.end - 1)
                touched ^= time_of(store, row, low)
    return touched


@inlined
def _take(store: Store, row: Row, slot: int, time: int, number: int) -> int:
    """Insert an entry at the place of its time; return one past its number."""
    at = seek(store, row, row.first, row.end, row.end, time)
    if at == row.end:
        append(store, row, time, number)
    else:
        insert(store, row, slot, at, time, number)
    return at + 1


@inlined
def _low(store: Store, row: Row, plan: Plan, slot: int, window: int, high: int, time: int) -> int:
    """Find where a record's window begins, near the place of the slot's last one."""
    hint = slot * len(plan.lengths_ms) + window
    at = min(max(store.hints[hint], row.first), high)
    low = seek(store, row, row.first, high, at, time - plan.lengths_ms[window])
    store.hints[hint] = low
    return low


@inlined
def _answer(  # noqa: PLR0913, PLR0917 - inlined into its caller
    store: Store,
    row: Row,
    plan: Plan,
    slot: int,
    query: int,
    record: int,
    low: int,
    high: int,
    answers: Table,
    valid: Table,
) -> None:
    function = plan.functions[query]
    valid[query, record] = True
    if function == COUNT:
        answers[query, record] = high - low
    elif function == SUM:
        _sum(store, row, low, high, query, record, answers, valid)
    elif function == DISTINCT:
        at = span(store, slot, plan.windows[query])
        answers[query, record] = turn(store, row, at, low, high)
    elif low == high:
        answers[query, record] = 0
        valid[query, record] = False
    else:
        flip = SMALLEST if function == MIN else LARGEST
        answers[query, record] = extreme(store, row, low, high, flip)


@inlined
def _sum(  # noqa: PLR0913, PLR0917 - inlined into its caller
    store: Store,
    row: Row,
    low: int,
    high: int,
    query: int,
    record: int,
    answers: Table,
    valid: Table,
) -> None:
    """Subtract two prefixes; the result is not valid if int64 cannot hold the difference."""
    if low == high:
        answers[query, record] = 0
        return
    before, after = prefix(store, row, low), prefix(store, row, high)
    total = signed(after - before)
    if len(store.highs) == 0:
        answers[query, record] = total
        return
    # `before + total` is `after`, so its high bits would have to equal those of `after`.
    expected = prefix_high(store, row, low) + carry(before, after, total)
    answers[query, record] = total
    valid[query, record] = (expected - prefix_high(store, row, high)) & 0xFFFFFFFF == 0
