"""What the windows should say, in so few words that it can be seen to be right."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.windows import Function, Query


class Record(NamedTuple):
    """One record: the key it is grouped by, its event time, its value, whether it counts."""

    key: int
    time_ms: int
    value: int
    taken: bool


INT64 = range(-(2**63), 2**63)


def naive_answers(queries: Sequence[Query], records: Sequence[Record]) -> list[list[int | None]]:
    """Answer each query for each record; None where there is no answer."""
    entries: dict[int, list[tuple[int, int]]] = defaultdict(list)
    answers: list[list[int | None]] = []
    for record in records:
        if record.taken:
            entries[record.key].append((record.time_ms, record.value))
        answers.append(
            [
                answer(
                    query.function,
                    [
                        value
                        for time_ms, value in entries[record.key]
                        if record.time_ms - query.window_ms < time_ms <= record.time_ms
                    ],
                )
                for query in queries
            ]
        )
    return answers


def answer(function: Function, values: list[int]) -> int | None:
    """Answer a query over the values of its window."""
    if function == "count":
        return len(values)
    if function == "sum":
        return sum(values) if sum(values) in INT64 else None
    if function == "distinct":
        return len(set(values))
    return (min if function == "min" else max)(values, default=None)
