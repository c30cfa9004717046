"""The windows of one partition: batches of transactions in, the values of aggregates out.

Between transactions and `services.windows`, which knows columns of numbers:
keys become slots, money becomes whole minor units, and what comes back becomes
the numbers that expressions read. Everything per transaction is C called
through `map`, or numpy.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.rules.expressions import NOTHING
from services.transactions.currencies import DECIMALS
from services.windows import Query, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from services.rules.aggregates import Column, Plan, Source, Value

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_CODES = {code: i for i, code in enumerate(sorted(DECIMALS))}
_NUMBER_OF: dict[str | None, int] = {None: -1} | dict(_CODES)
# By the number of a currency; the last is for none.
_SCALES = np.array([10.0 ** DECIMALS[code] for code in _CODES] + [1.0])
# Whole numbers up to here are exact as doubles.
_EXACT = 1 << 53
_NOBODY = 0


class Numbers:
    """Small numbers for keys, from 1; None is 0. A number is given anew some time after its key.

    There are two generations. `of` takes a key from the old one into the young
    one; what is still in the old one at a `turn` has not been asked for since
    the turn before.
    """

    def __init__(self) -> None:
        self._free: list[int] = []
        self.fresh: list[int] = []
        """Numbers given out since this was emptied last."""
        self.size = 1
        """One more than the largest number ever given."""
        self._young = _Generation(self)
        self._old: dict[Any, int] = {}

    @property
    def of(self) -> Callable[[Any], int]:
        """Give the number of a key; good until the next turn."""
        return self._young.__getitem__

    def turn(self) -> None:
        """Give up the keys not asked for since the last turn."""
        self._free.extend(self._old.values())
        self._old = self._young
        del self._old[None]
        self._young = _Generation(self)

    def find(self, key: Any) -> int:  # noqa: ANN401 - any hashable value
        """Find or give the number of a key that is not in the young generation."""
        number = self._old.pop(key, 0)
        if not number:
            if self._free:
                number = self._free.pop()
            else:
                number = self.size
                self.size += 1
            self.fresh.append(number)
        return number


class _Generation(dict[Any, int]):
    def __init__(self, numbers: Numbers) -> None:
        super().__init__({None: _NOBODY})
        self._numbers = numbers

    def __missing__(self, key: Any) -> int:  # noqa: ANN401 - any hashable value
        number = self[key] = self._numbers.find(key)
        return number


class _Feed(NamedTuple):
    """One source's series."""

    source: Source
    columns: tuple[Column, ...]
    series: Series
    interned: Numbers | None
    of: Callable[[Any], Any] | None


class _Batch:
    """A batch as columns, each made when it is first asked for."""

    def __init__(self, transactions: Sequence[Any]) -> None:
        self.transactions = transactions
        self._currencies: dict[str, Ints] = {}

    def keys(self, field: str) -> list[Any]:
        """A field of each."""
        return list(map(attrgetter(field), self.transactions))

    def currencies(self, field: str) -> Ints:
        """The number of each one's currency, -1 for none."""
        if field not in self._currencies:
            numbers = map(_NUMBER_OF.__getitem__, map(attrgetter(field), self.transactions))
            self._currencies[field] = np.fromiter(numbers, np.int64, len(self.transactions))
        return self._currencies[field]


class _Grouping:
    """The slots of one grouping's keys, and of each key's currencies.

    Most accounts pay in one currency. The first that is seen of a key, its
    home, has the slot of the key itself; each other has one of its own.
    """

    def __init__(self, field: str) -> None:
        self._field = field
        self._numbers = Numbers()
        self._homes: dict[str, Ints] = {}
        self._batch: _Batch | None = None

    def take(self, batch: _Batch) -> None:
        """Number the keys of a batch."""
        self._batch = batch
        self._keys = batch.keys(self._field)
        self.slots = np.fromiter(map(self._numbers.of, self._keys), np.int64, len(self._keys))
        self._pairs: dict[str, Ints] = {}
        self._forget_homes()

    def pairs(self, currency: str) -> Ints:
        """The slots of each one's key and currency; 0 where one of them is missing."""
        if currency not in self._pairs:
            self._pairs[currency] = self._pair(currency)
        return self._pairs[currency]

    def turn(self) -> None:
        """See `Numbers.turn`."""
        self._numbers.turn()

    def _pair(self, field: str) -> Ints:
        assert self._batch is not None  # noqa: S101 - take() comes first
        currencies = self._batch.currencies(field)
        homes = self._home(field)
        away = np.flatnonzero(homes[self.slots] != currencies)
        if not len(away):
            return self.slots
        slots = self.slots.copy()
        of = self._numbers.of
        for i in away.tolist():
            slot, currency = int(slots[i]), int(currencies[i])
            if slot == _NOBODY or currency < 0:
                slots[i] = _NOBODY
            elif homes[slot] < 0:
                homes[slot] = currency
            elif homes[slot] != currency:
                slots[i] = of((self._keys[i], field, currency))
        self._forget_homes()
        return slots

    def _home(self, field: str) -> Ints:
        homes = self._homes.get(field)
        if homes is None or len(homes) < self._numbers.size:
            wider = np.full(2 * self._numbers.size, -1, np.int64)
            if homes is not None:
                wider[: len(homes)] = homes
            homes = self._homes[field] = wider
        return homes

    def _forget_homes(self) -> None:
        """Let numbers that were given anew have no home."""
        if fresh := self._numbers.fresh:
            for homes in self._homes.values():
                numbers = np.array(fresh)
                homes[numbers[numbers < len(homes)]] = -1
            fresh.clear()


class PartitionWindows:
    """Exact windows over the transactions of one partition, in the order of its offsets.

    Args:
        plan: the values to be read.
        late_ms: no event time is longer than this before the largest so far.

    """

    def __init__(self, plan: Plan, late_ms: int) -> None:
        self._late_ms = late_ms
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
        self._groupings = {s.group_by: _Grouping(s.group_by) for s in plan.series}
        self._kept_ms = plan.reach_ms + late_ms
        self._turn_at: int | None = None

    def process(
        self,
        transactions: Sequence[Any],
        times_ms: Ints,
        counted: Mapping[str, Sequence[bool]],
    ) -> list[list[Any]]:
        """Take a batch in, and give each value as a column; NOTHING where it has none.

        Args:
            transactions: structs of the schema.
            times_ms: int64[n], their event times.
            counted: for each condition of the plan's sources, whether each of
                the transactions counts.

        """
        if not transactions:
            return [[] for _ in self._values]
        batch = _Batch(transactions)
        for grouping in self._groupings.values():
            grouping.take(batch)
        answers: dict[tuple[Source, Column], tuple[Ints, Bools]] = {}
        for feed in self._feeds:
            found = self._feed(feed, batch, times_ms, counted)
            for q, column in enumerate(feed.columns):
                answers[feed.source, column] = found.values[q], found.valid[q]
        self._tidy(int(times_ms.max()), len(transactions))
        return [self._read(value, batch, answers) for value in self._values]

    def keep(self, plan: Plan) -> None:
        """Drop the windows of sources that a plan, made of this one's values, does not have."""
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
        """How many entries are held."""
        return sum(feed.series.entries for feed in self._feeds)

    @property
    def nbytes(self) -> int:
        """How many bytes the entries take, the keys aside."""
        return sum(feed.series.nbytes for feed in self._feeds)

    def _feed(
        self,
        feed: _Feed,
        batch: _Batch,
        times_ms: Ints,
        counted: Mapping[str, Sequence[bool]],
    ) -> Any:  # noqa: ANN401 - windows.Answers, which is not worth an import
        n = len(times_ms)
        source = feed.source
        grouping = self._groupings[source.group_by]
        slots = grouping.pairs(source.currency) if source.currency else grouping.slots
        taken = slots != _NOBODY
        if source.where:
            taken &= np.fromiter(counted[source.where], np.bool_, n)
        values = np.zeros(n, np.int64)
        if feed.of is not None:
            given = list(map(feed.of, batch.transactions))
            if None in given:
                there = np.fromiter((value is not None for value in given), np.bool_, n)
                taken &= there
                if feed.interned is None:
                    given = [0 if value is None else value for value in given]
            if feed.interned is not None:
                values = np.fromiter(map(feed.interned.of, given), np.int64, n)
            elif source.currency:
                scales = _SCALES[batch.currencies(source.currency)]
                values = np.rint(np.fromiter(given, np.float64, n) * scales).astype(np.int64)
            else:
                values = np.fromiter(given, np.int64, n)
        return feed.series.process(slots, times_ms, values, taken)

    def _tidy(self, time_ms: int, n: int) -> None:
        """Free what no window reaches, a little at a time, and keys not seen for as long."""
        for feed in self._feeds:
            feed.series.evict(at_most=n // 8 + 8)
        if self._turn_at is None:
            self._turn_at = time_ms + self._kept_ms
        elif time_ms >= self._turn_at:
            self._turn_at = time_ms + self._kept_ms
            for grouping in self._groupings.values():
                grouping.turn()
            for feed in self._feeds:
                if feed.interned is not None:
                    feed.interned.turn()

    def _read(
        self,
        value: Value,
        batch: _Batch,
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
            valid &= count > 0
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
    """Divide as Python's integers are, rounded once; doubles would be rounded twice."""
    found: list[Any] = numbers.tolist()
    if scales is not None:
        found = [n / int(scale) for n, scale in zip(found, scales.tolist(), strict=True)]
    if count is not None:
        found = [n / max(c, 1) for n, c in zip(found, count.tolist(), strict=True)]
    return found
