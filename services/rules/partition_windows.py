"""The windows of one partition: from columns of transactions to columns of values.

It connects the columns of a batch with `services.windows`: keys become slots, money
becomes whole minor units, and the answers become the numbers that expressions read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.columns import CURRENCIES, Doubles, Whole
from services.rules.numbering import NOBODY, Grouping, Numbers
from services.transactions.currencies import DECIMALS
from services.windows import Answers, Query, Series
from services.windows.hashing import new_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from services.rules.aggregates import Column, Plan, Source, Value
    from services.rules.numbering import Rows

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

# By the number of a currency; the last entry is for transactions without one.
_SCALES = np.array([10.0 ** DECIMALS[code] for code in CURRENCIES] + [1.0])
# Whole numbers up to this one are exact as doubles.
_EXACT = 1 << 53


class _Feed(NamedTuple):
    """The series of one source."""

    source: Source
    columns: tuple[Column, ...]
    series: Series
    interned: Numbers | None


class PartitionWindows:
    """Exact windows over the transactions of one partition, in the order of its offsets.

    Args:
        plan: Values to compute.
        late_ms: Largest time that an event time may be before the partition's stream time.

    """

    def __init__(self, plan: Plan, late_ms: int) -> None:
        self._values = plan.values
        # The windows' own: what reads a snapshot of them needs it too.
        secret = new_key()
        self._feeds = [
            _Feed(
                source,
                columns,
                Series([Query(c.function, c.window_ms) for c in columns], late_ms=late_ms),
                Numbers(secret) if source.distinct else None,
            )
            for source, columns in plan.series.items()
        ]
        self._groupings = {s.group_by: Grouping(s.group_by, secret) for s in plan.series}
        self._kept_ms = plan.reach_ms + late_ms
        self._turn_at: int | None = None

    def process(
        self, rows: Rows, times_ms: Ints, counted: Mapping[str, Bools]
    ) -> list[Whole | Doubles]:
        """Add the transactions among some rows, and return each value as a column.

        Args:
            rows: Rows of the partition, in the order of their offsets.
            times_ms: int64[n], event times.
            counted: bool[n] for each condition of the plan's sources: the row counts.

        """
        answers = self._take(rows, times_ms, counted)
        return [self._read(value, rows, answers) for value in self._values]

    def take(self, rows: Rows, times_ms: Ints, counted: Mapping[str, Bools]) -> None:
        """Add rows as `process` does, without a result."""
        self._take(rows, times_ms, counted)

    def _take(
        self, rows: Rows, times_ms: Ints, counted: Mapping[str, Bools]
    ) -> dict[tuple[Source, Column], tuple[Ints, Bools]]:
        for grouping in self._groupings.values():
            grouping.take(rows)
        answers: dict[tuple[Source, Column], tuple[Ints, Bools]] = {}
        for feed in self._feeds:
            found = self._feed(feed, rows, times_ms, counted)
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
        self, feed: _Feed, rows: Rows, times_ms: Ints, counted: Mapping[str, Bools]
    ) -> Answers:
        source = feed.source
        grouping = self._groupings[source.group_by]
        slots = grouping.pairs(source.currency) if source.currency else grouping.slots
        taken = (slots != NOBODY) & rows.accepted
        if source.where:
            taken &= counted[source.where]
        values = np.zeros(len(rows), np.int64)
        if source.of:
            column = rows.column(source.of)
            taken &= column.valid
            if feed.interned is not None:
                values = feed.interned.of(column)
            elif isinstance(column, Doubles):
                scales = _SCALES[rows.currencies(source.currency)]
                values = np.rint(column.values * scales).astype(np.int64)
            elif isinstance(column, Whole):
                values = column.values
        return feed.series.process(slots, times_ms, values, taken)

    def _read(
        self,
        value: Value,
        rows: Rows,
        answers: Mapping[tuple[Source, Column], tuple[Ints, Bools]],
    ) -> Whole | Doubles:
        source = value.source
        column, *more = value.columns
        numbers, valid = answers[source, column]
        if value.kind == "int":
            return Whole(numbers, valid)
        scales = _SCALES[rows.currencies(source.currency)] if source.currency else None
        count = answers[source, more[0]][0] if more else None
        if count is not None:
            valid = valid & (count > 0)
        if len(numbers) == 0 or (numbers.max() < _EXACT and numbers.min() > -_EXACT):
            parts = numbers / scales if scales is not None else numbers.astype(np.float64)
            if count is not None:
                parts = parts / np.maximum(count, 1)
        else:
            parts = np.array(_divided(numbers, scales, count), np.float64)
        return Doubles(parts, valid, None)


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
