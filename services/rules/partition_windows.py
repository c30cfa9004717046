"""The windows of one partition: from batches of transactions to the values of aggregates.

It connects transactions with `services.windows`, which works on columns of numbers:
keys become slots, money becomes whole minor units, and the answers become the numbers
that expressions read. The work per transaction is done by C functions called through
`map`, or by numpy.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.rules.expressions import NOTHING
from services.rules.numbering import CODES, NOBODY, Batch, Grouping, Numbers
from services.transactions.currencies import DECIMALS
from services.windows import Answers, Query, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from services.rules.aggregates import Column, Plan, Source, Value

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

# By the number of a currency; the last entry is for transactions without one.
_SCALES = np.array([10.0 ** DECIMALS[code] for code in CODES] + [1.0])
# Whole numbers up to this one are exact as doubles.
_EXACT = 1 << 53


class _Feed(NamedTuple):
    """The series of one source."""

    source: Source
    columns: tuple[Column, ...]
    series: Series
    interned: Numbers | None
    of: Callable[[Any], Any] | None


class PartitionWindows:
    """Exact windows over the transactions of one partition, in the order of its offsets.

    Args:
        plan: Values to compute.
        late_ms: Largest time that an event time may be before the partition's stream time.

    """

    def __init__(self, plan: Plan, late_ms: int) -> None:
        self._values = plan.values
        self._feeds = [
            _Feed(
                source,
                columns,
                Series([Query(c.function, c.window_ms) for c in columns], late_ms=late_ms),
                Numbers() if source.distinct else None,
                attrgetter(source.of) if source.of else None,
            )
            for source, columns in plan.series.items()
        ]
        self._groupings = {s.group_by: Grouping(s.group_by) for s in plan.series}
        self._kept_ms = plan.reach_ms + late_ms
        self._turn_at: int | None = None

    def process(
        self,
        transactions: Sequence[Any],
        times_ms: Ints,
        counted: Mapping[str, Sequence[bool]],
    ) -> list[list[Any]]:
        """Add a batch, and return each value as a column; NOTHING stands for no value.

        Args:
            transactions: Structs of the schema.
            times_ms: int64[n], event times of the transactions.
            counted: For each condition of the plan's sources, whether each of
                the transactions counts.

        """
        if not transactions:
            return [[] for _ in self._values]
        batch = Batch(transactions)
        answers = self._take(batch, times_ms, counted)
        return [self._read(value, batch, answers) for value in self._values]

    def take(
        self,
        transactions: Sequence[Any],
        times_ms: Ints,
        counted: Mapping[str, Sequence[bool]],
    ) -> None:
        """Add a batch as `process` does, without a result."""
        if transactions:
            self._take(Batch(transactions), times_ms, counted)

    def _take(
        self, batch: Batch, times_ms: Ints, counted: Mapping[str, Sequence[bool]]
    ) -> dict[tuple[Source, Column], tuple[Ints, Bools]]:
        for grouping in self._groupings.values():
            grouping.take(batch)
        answers: dict[tuple[Source, Column], tuple[Ints, Bools]] = {}
        for feed in self._feeds:
            found = self._feed(feed, batch, times_ms, counted)
            for q, column in enumerate(feed.columns):
                answers[feed.source, column] = found.values[q], found.valid[q]
        return answers

    def forget_before(self, stream_time_ms: int, n: int) -> None:
        """Free entries that no window reaches any more, in small steps, and keys without entries.

        Args:
            stream_time_ms: Stream time of the partition, in epoch ms. No future event
                time is before it by more than the lateness.
            n: Number of transactions added since the last call.

        """
        for feed in self._feeds:
            feed.series.evict(stream_time_ms, at_most=n // 8 + 8)
        if self._turn_at is None:
            self._turn_at = stream_time_ms + self._kept_ms
        if stream_time_ms >= self._turn_at:
            self._turn_at = stream_time_ms + self._kept_ms
            self._turn()

    def _turn(self) -> None:
        """Free numbers of keys and values that are unused and did not occur since the last call."""
        for name, grouping in self._groupings.items():
            occupied = np.zeros(grouping.size, np.bool_)
            for feed in self._feeds:
                if feed.source.group_by == name:
                    own = feed.series.occupied()[: grouping.size]
                    occupied[: len(own)] |= own
            grouping.turn(occupied)
        for feed in self._feeds:
            if feed.interned is not None:
                feed.interned.turn(feed.series.values_in_use(feed.interned.size))

    def keep(self, plan: Plan) -> None:
        """Drop the windows of sources that a plan does not have.

        Args:
            plan: Plan made of values of this one.

        """
        sources = plan.series
        self._values = plan.values
        self._feeds = [feed for feed in self._feeds if feed.source in sources]
        self._groupings = {
            name: grouping
            for name, grouping in self._groupings.items()
            if any(source.group_by == name for source in sources)
        }

    @property
    def entries(self) -> int:
        """Number of entries."""
        return sum(feed.series.entries for feed in self._feeds)

    @property
    def nbytes(self) -> int:
        """Memory of the entries and the keys, in bytes."""
        interned = (feed.interned.nbytes for feed in self._feeds if feed.interned is not None)
        keys = (grouping.nbytes for grouping in self._groupings.values())
        return sum(feed.series.nbytes for feed in self._feeds) + sum(interned) + sum(keys)

    def _feed(
        self,
        feed: _Feed,
        batch: Batch,
        times_ms: Ints,
        counted: Mapping[str, Sequence[bool]],
    ) -> Answers:
        n = len(times_ms)
        source = feed.source
        grouping = self._groupings[source.group_by]
        slots = grouping.pairs(source.currency) if source.currency else grouping.slots
        taken = slots != NOBODY
        if source.where:
            taken &= np.fromiter(counted[source.where], np.bool_, n)
        values = np.zeros(n, np.int64)
        if feed.of is not None:
            given = list(map(feed.of, batch.transactions))
            if source.optional and None in given:
                taken &= np.fromiter((value is not None for value in given), np.bool_, n)
                if feed.interned is None:
                    given = [0 if value is None else value for value in given]
            if feed.interned is not None:
                values = feed.interned.of(given)
            elif source.currency:
                scales = _SCALES[batch.currencies(source.currency)]
                values = np.rint(np.fromiter(given, np.float64, n) * scales).astype(np.int64)
            else:
                values = np.fromiter(given, np.int64, n)
        return feed.series.process(slots, times_ms, values, taken)

    def _read(
        self,
        value: Value,
        batch: Batch,
        answers: Mapping[tuple[Source, Column], tuple[Ints, Bools]],
    ) -> list[Any]:
        source = value.source
        column, *more = value.columns
        numbers, valid = answers[source, column]
        if value.function in {"Count", "CountDistinct"}:
            counts: list[Any] = numbers.tolist()
            return counts
        scales = _SCALES[batch.currencies(source.currency)] if source.currency else None
        count = answers[source, more[0]][0] if more else None
        if count is not None:
            valid = valid & (count > 0)
        if scales is None and count is None:
            found: list[Any] = numbers.tolist()
        elif numbers.max() < _EXACT and numbers.min() > -_EXACT:
            parts = numbers if scales is None else numbers / scales
            if count is not None:
                parts = parts / np.maximum(count, 1)
            found = parts.tolist()
        else:
            found = _divided(numbers, scales, count)
        if not valid.all():
            for i in np.flatnonzero(~valid).tolist():
                found[i] = NOTHING
        return found


def _divided(
    numbers: Ints, scales: npt.NDArray[np.float64] | None, count: Ints | None
) -> list[float]:
    """Divide as Python's integers do, with one rounding; doubles would be rounded twice."""
    found: list[Any] = numbers.tolist()
    if scales is not None:
        found = [n / int(scale) for n, scale in zip(found, scales.tolist(), strict=True)]
    if count is not None:
        found = [n / max(c, 1) for n, c in zip(found, count.tolist(), strict=True)]
    return found
