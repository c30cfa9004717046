"""Drive a series as a detector does: keys get slots, idle slots get other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.windows import Answers, Series
from tests.windows.naive import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from services.windows import Query


def process(series: Series, slots: Sequence[int], records: Sequence[Record]) -> Answers:
    """Process one batch."""
    return series.process(
        np.array(slots, np.int64),
        np.array([record.time_ms for record in records], np.int64),
        np.array([record.value for record in records], np.int64),
        np.array([record.taken for record in records], np.bool_),
    )


def entries(keys: int, *, time_ms: int, value: int = 1) -> list[Record]:
    """An entry each for so many keys, at one time."""
    return [Record(key, time_ms, value, taken=True) for key in range(keys)]


def listed(answers: Answers) -> list[list[int | None]]:
    """Answers as the naive ones come: a list a record, None where there is none."""
    columns = zip(answers.values.T.tolist(), answers.valid.T.tolist(), strict=True)
    return [
        [value if valid else None for value, valid in zip(values, valids, strict=True)]
        for values, valids in columns
    ]


class Driver:
    """A series and the slots of its keys."""

    def __init__(self, queries: Sequence[Query], late_ms: int) -> None:
        self.series = Series(queries, late_ms=late_ms)
        self.slots: dict[int, int] = {}
        self.unused: list[int] = []
        self.latest: int | None = None

    def process(self, records: Sequence[Record]) -> list[list[int | None]]:
        """Process one batch."""
        answers = listed(process(self.series, [self.slot(r.key) for r in records], records))
        self.latest = max([r.time_ms for r in records], default=self.latest)
        return answers

    def slot(self, key: int) -> int:
        """The slot of a key, an idle one where there is one."""
        if key not in self.slots:
            self.slots[key] = self.unused.pop() if self.unused else len(self.slots)
        return self.slots[key]

    def evict(self, at_most: int | None) -> None:
        """Free what is old; slots without entries are for other keys from here on."""
        self.series.evict(self.latest, at_most=at_most)
        occupied: npt.NDArray[np.bool_] = self.series.occupied()
        for key, slot in list(self.slots.items()):
            if not occupied[slot]:
                self.unused.append(self.slots.pop(key))
