"""The typed interface of the windows: batches of columns in, columns of answers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np

from services.windows import hashing, homes, keys
from services.windows.judging import COUNT, DISTINCT, MAX, MIN, SUM, Plan, Records, Table, judge
from services.windows.rings import compact, mark_values, sweep, widen
from services.windows.store import ENTRIES, FREE, NARROW, ROW, STREAM_TIME, TOP, WANTED, Rows, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from services.compiled import Ints

Function = Literal["count", "sum", "min", "max", "distinct"]

FUNCTIONS: dict[Function, int] = {
    "count": COUNT,
    "sum": SUM,
    "min": MIN,
    "max": MAX,
    "distinct": DISTINCT,
}

FIRST_PLACES, FIRST_SLOTS = 1024, 256
GROWTH = 1.125
"""The pool grows by realloc, which moves pages without a copy, so small steps cost little."""

LAST_SLOT = LAST_PLACE = (1 << 31) - 1
NEVER = -(1 << 62)


class Query(NamedTuple):
    """One value over the window (T - window_ms, T] of each record, T its event time."""

    function: Function
    window_ms: int


class Answers(NamedTuple):
    """The values of Q queries for n records."""

    values: npt.NDArray[np.int64]
    """int64[Q, n]."""

    valid: npt.NDArray[np.bool_]
    """bool[Q, n]: False for a sum that int64 cannot hold (the value is then its
    lowest 64 bits) and for the min or max of an empty window (the value is 0)."""


class Series:
    """The entries (event time, value) of each slot of one partition, and queries over them.

    A slot is a small integer that stands for a grouping key (or key and
    currency); the caller assigns slots, densely from 0. A slot without entries
    has no state, so between batches it may be assigned to another key:
    see `occupied`.

    A count and a sum cost 0.25 µs a record over 100,000 slots of 64 entries,
    most of it waiting for memory, and 0.06 µs if the CPU's caches hold all of
    it; a call costs about 10 µs. Memory: 16 bytes an entry, 4 more for sums once a
    value has been large (`NARROW`), 10 more with distinct, 1 more each with min and
    max; a slot 32 bytes and 4 a window length (16 with distinct). Rings of more
    than 64 entries that only grow are at least four fifths full.

    Args:
        queries: Queries to answer for every record, in this order.
        late_ms: Promise of the caller: no record's event time is more than this
            before the stream time of the last call of `evict`.

    """

    def __init__(self, queries: Sequence[Query], *, late_ms: int) -> None:
        if late_ms < 0 or not queries or any(query.window_ms <= 0 for query in queries):
            raise ValueError("a series needs queries, windows above 0 ms and late_ms from 0")
        lengths = sorted({query.window_ms for query in queries})
        self._plan = Plan(
            functions=_ints([FUNCTIONS[query.function] for query in queries]),
            windows=_ints([lengths.index(query.window_ms) for query in queries]),
            lengths_ms=_ints(lengths),
            kept_ms=lengths[-1] + late_ms,
            sums=any(query.function == "sum" for query in queries),
        )
        self._store = _new_store({query.function for query in queries}, len(lengths))
        self._swept = 0

    def process(
        self,
        slots: npt.NDArray[np.int64],
        times_ms: npt.NDArray[np.int64],
        values: npt.NDArray[np.int64],
        taken: npt.NDArray[np.bool_],
    ) -> Answers:
        """Add the entries of a batch and answer the queries for each record, in order.

        Args:
            slots: int64[n], from 0.
            times_ms: int64[n], event times.
            values: int64[n]: minor units, integers, or interned ids for distinct.
            taken: bool[n]: the record adds an entry; the others are only judged.

        """
        slots, values = _column(slots, np.int64), _column(values, np.int64)
        times_ms, taken = _column(times_ms, np.int64), _column(taken, np.bool_)
        n = len(slots)
        queries = len(self._plan.functions)
        answers = Answers(np.empty((queries, n), np.int64), np.empty((queries, n), np.bool_))
        if n == 0:
            return answers
        last = int(slots.view(np.uint64).max())  # negative numbers become the largest ones
        if not (len(times_ms) == len(values) == len(taken) == n) or last > LAST_SLOT:
            raise ValueError("columns of one length, and slots from 0")
        records = Records(*(cast("Ints", c) for c in (slots, times_ms, values, taken)))
        self._reach(last)
        columns = cast("Table", answers.values), cast("Table", answers.valid)
        done = 0
        while (done := judge(self._store, self._plan, records, done, *columns)) < n:
            if self._plan.sums and not len(self._store.highs) and abs(int(values[done])) >= NARROW:
                self._widen()
            else:
                self._enlarge()
        return answers

    def evict(self, stream_time_ms: int | None = None, *, at_most: int | None = None) -> None:
        """Free the memory of entries that no window can reach any more.

        Answers do not depend on it. It costs about 0.3 µs a slot, all of it
        waiting for memory, so an eighth as many slots as records is enough.

        Args:
            stream_time_ms: Stream time of the partition, in epoch ms: entries a
                window and the lateness before it are freed. None means that of the
                last call; nothing is freed before the first one.
            at_most: Number of slots, beginning where the last call stopped; None
                means all slots.

        """
        gauges = self._store.gauges
        if stream_time_ms is not None:
            gauges[STREAM_TIME] = max(gauges[STREAM_TIME], stream_time_ms)
        horizon = gauges[STREAM_TIME] - self._plan.kept_ms
        slots = len(self._store.table)
        begin = self._swept % slots if at_most is not None else 0
        stop = slots if at_most is None else min(slots, begin + at_most)
        sweep(self._store, horizon, begin, stop)
        self._swept = stop
        if gauges[FREE] > max(FIRST_PLACES, 0.75 * gauges[TOP]):
            self._compact(0)

    def values_in_use(self, size: int) -> npt.NDArray[np.bool_]:
        """Return which values from 0 to `size` - 1 some entry has: bool[size].

        Args:
            size: One more than the largest value of any entry.

        """
        used = np.zeros(size, np.bool_)
        mark_values(self._store, cast("Ints", used))
        return used

    def occupied(self) -> npt.NDArray[np.bool_]:
        """Return which slots have entries: bool[slots]; slots after these have none.

        If several series share slots, a slot is free if it is occupied in none of
        them. Exact after `evict`.
        """
        table = cast("npt.NDArray[Any]", self._store.table)
        occupied: npt.NDArray[np.bool_] = table["capacity"] > 0
        return occupied

    @property
    def entries(self) -> int:
        """Number of entries, including those not yet evicted."""
        return int(self._store.gauges[ENTRIES])

    @property
    def nbytes(self) -> int:
        """Memory of all arrays, in bytes."""
        return sum(array.nbytes for array in _arrays(self._store).values())

    def _reach(self, slot: int) -> None:
        """Grow the slots' arrays so that they include this slot."""
        slots = len(self._store.table)
        if slot < slots:
            return
        wanted = max(slot + 1, int(slots * GROWTH))
        for name in ("table", "hints", "spans"):
            array = _arrays(self._store)[name]
            array.resize(wanted * (len(array) // slots), refcheck=False)

    def _enlarge(self) -> None:
        """Make room for a ring that `allocate` could not place: a larger or a compacted pool."""
        gauges = self._store.gauges
        if gauges[FREE] > gauges[TOP] // 4:
            self._compact(gauges[WANTED])
            return
        places = len(self._store.entries) // 2
        wanted = max(_multiple(places * GROWTH), _multiple(gauges[TOP] + gauges[WANTED]))
        for name, elements in _ELEMENTS.items():
            array = _arrays(self._store)[name]
            if len(array) > 0:
                array.resize(wanted // 8 * elements, refcheck=False)

    def _compact(self, wanted: int) -> None:
        """Copy all live entries to a new pool: about 10 ns an entry."""
        old = self._store
        live = old.gauges[TOP] - old.gauges[FREE]
        places = _multiple(live * GROWTH + wanted + FIRST_PLACES)
        arrays = _arrays(old)
        fresh = {
            name: np.empty(places // 8 * elements if len(arrays[name]) else 0, arrays[name].dtype)
            for name, elements in _ELEMENTS.items()
        }
        old.gauges[TOP] = old.gauges[FREE] = 0
        arrays["free"].fill(-1)
        self._store = old._replace(**cast("dict[str, Any]", fresh))
        compact(old, self._store)

    def _widen(self) -> None:
        """Keep the high bits of prefixes from now on."""
        places = len(self._store.entries) // 2
        self._store = self._store._replace(highs=cast("Ints", np.zeros(places, np.int32)))
        widen(self._store)


def prepare() -> None:
    """Compile all code, or load it: before the stream begins, or during the build of an image.

    Code that is not compiled yet is compiled at its first call, which takes seconds.
    """
    series = Series([Query(function, 1) for function in FUNCTIONS], late_ms=0)
    zero, one = np.zeros(1, np.int64), np.ones(1, np.int64)
    series.process(zero, zero, one << 40, one > 0)
    series.evict(0)
    series.values_in_use(1)
    series._compact(0)  # noqa: SLF001 - of the same class
    keys.prepare()
    hashing.prepare()
    homes.pair(zero, zero, np.zeros(1, np.int16), zero, zero)


_ELEMENTS = {
    "entries": 16,
    "highs": 8,
    "minima": 1,
    "maxima": 1,
    "previous": 8,
    "links": 8,
    "buckets": 4,
}
"""The pools, and the number of elements of each for eight places."""


def _column(column: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Copy a column unless it has the one layout that the loop is compiled for."""
    if column.dtype == dtype and column.flags.carray:
        return column
    return np.require(column, dtype, ["C", "A", "W"])


def _multiple(places: float) -> int:
    """Round a pool's size up to a multiple of eight.

    Raises:
        MemoryError: The `base` of a slot could not address a ring in a pool of this size.

    """
    if places > LAST_PLACE:
        raise MemoryError("the windows of one partition would take more than 34 GB")
    return -(-int(places) // 8) * 8


def _ints(numbers: Sequence[int]) -> Ints:
    return cast("Ints", np.array(numbers, np.int64))


def _arrays(store: Store) -> dict[str, npt.NDArray[Any]]:
    return cast("dict[str, npt.NDArray[Any]]", store._asdict())


def _new_store(functions: set[Function], lengths: int) -> Store:
    def pool(name: str, dtype: type[np.generic], *, asked: bool = True) -> Ints:
        places = FIRST_PLACES if asked else 0
        return cast("Ints", np.empty(places // 8 * _ELEMENTS[name], dtype))

    distinct = "distinct" in functions
    return Store(
        table=cast("Rows", np.zeros(FIRST_SLOTS, ROW)),
        hints=cast("Ints", np.zeros(FIRST_SLOTS * lengths, np.int32)),
        spans=cast("Ints", np.zeros(FIRST_SLOTS * lengths * 3 if distinct else 0, np.int32)),
        entries=pool("entries", np.int64),
        highs=pool("highs", np.int32, asked=False),
        minima=pool("minima", np.int64, asked="min" in functions),
        maxima=pool("maxima", np.int64, asked="max" in functions),
        previous=pool("previous", np.int32, asked=distinct),
        links=pool("links", np.int32, asked=distinct),
        buckets=pool("buckets", np.int32, asked=distinct),
        free=cast("Ints", np.full(128, -1, np.int64)),
        gauges=_ints([0, 0, 0, NEVER, 0, 0]),
    )
