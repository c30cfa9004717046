"""The windows against a list a key, looked through from end to end for every answer."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.windows import Function, Query, Series, prepare
from services.windows.judging import judge
from tests.windows.driving import Driver, entries, listed, process
from tests.windows.naive import Record, naive_answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FUNCTIONS: tuple[Function, ...] = get_args(Function)
LATE_MS = 12
QUERIES = [Query(function, window_ms) for function in FUNCTIONS for window_ms in (1, 7, 40)]
MAX, MIN = 2**63 - 1, -(2**63)
NOW = 1_767_268_800_000
YEAR_9999 = 253_402_300_000_000

values = st.one_of(
    st.integers(-3, 3), st.integers(MIN, MAX), st.sampled_from([MIN, MIN + 1, MAX - 1, MAX])
)


@st.composite
def streams(draw: st.DrawFn) -> list[Record]:
    """Records of a few keys, up to `LATE_MS` late, the same time often."""
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.sampled_from([0, 0, 0, 1, 1, 2, 6, 7, 40, 300]),
                st.one_of(st.just(0), st.integers(0, LATE_MS)),
                values,
                st.sampled_from([True, True, True, False]),
            ),
            max_size=150,
        )
    )
    stream_times = accumulate((step[1] for step in steps), initial=draw(st.sampled_from([NOW, 0])))
    return [
        Record(key, stream_time - late, value, taken)
        for (key, _, late, value, taken), stream_time in zip(
            steps, list(stream_times)[1:], strict=True
        )
    ]


def batches(records: Sequence[Record], chooser: random.Random) -> Iterator[Sequence[Record]]:
    """Split a stream anywhere."""
    at = 0
    while at < len(records):
        size = chooser.choice([1, 2, 10, 100])
        yield records[at : at + size]
        at += size


def answers_in_batches(
    queries: Sequence[Query], records: Sequence[Record], late_ms: int, chooser: random.Random
) -> list[list[int | None]]:
    """Answer in batches, with evictions now and then between them."""
    driver = Driver(queries, late_ms)
    answers: list[list[int | None]] = []
    for batch in batches(records, chooser):
        answers += driver.process(batch)
        if chooser.random() < 0.3:
            driver.evict(chooser.choice([None, 1, 300]))
    return answers


@settings(max_examples=300)
@given(streams(), st.randoms(use_true_random=False))
def test_answers_are_those_of_a_list_a_key(records: list[Record], chooser: random.Random) -> None:
    assert answers_in_batches(QUERIES, records, LATE_MS, chooser) == naive_answers(QUERIES, records)


@settings(max_examples=100)
@given(streams(), st.sampled_from(QUERIES), st.randoms(use_true_random=False))
def test_a_query_alone_answers_as_among_others(
    records: list[Record], query: Query, chooser: random.Random
) -> None:
    """A series has no memory for what no query asks, so each is tried without the others."""
    assert answers_in_batches([query], records, LATE_MS, chooser) == naive_answers([query], records)


def long_stream(
    n: int, keys: int, step_ms: int, late_ms: int, different: int, seed: int
) -> list[Record]:
    """A longer stream; a third is late, one in ten takes no part, key 0 has half of it."""
    chooser = random.Random(seed)
    stream_time = NOW
    records = []
    for _ in range(n):
        stream_time += chooser.randrange(step_ms)
        records.append(
            Record(
                key=chooser.choice([0, chooser.randrange(keys)]),
                time_ms=stream_time - chooser.choice([0, 0, chooser.randrange(late_ms)]),
                value=chooser.randrange(-different, different),
                taken=chooser.random() < 0.9,
            )
        )
    return records


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("different", [2, 20, 100_000])
def test_windows_of_hundreds_of_entries(different: int, seed: int) -> None:
    """Rings double and wrap, blocks fill, chains grow. Takes about 1 s, most of it the list's."""
    queries = [Query(function, window_ms) for function in FUNCTIONS for window_ms in (90, 700)]
    records = long_stream(
        n=1500, keys=3, step_ms=3, late_ms=40, different=different, seed=seed + different
    )
    chooser = random.Random(seed)
    assert answers_in_batches(queries, records, 40, chooser) == naive_answers(queries, records)


def test_many_keys_come_and_go() -> None:
    """Slots are reused, rings of all sizes change hands and the pool is made tidy."""
    queries = [Query(function, 300) for function in FUNCTIONS]
    chooser = random.Random(1)
    records = []
    for phase in range(8):
        few, width = phase % 2, 5 if phase % 2 else 700
        start = NOW + phase * 1000
        records += [
            Record(
                key=phase * 1000 + chooser.randrange(width),
                time_ms=start + i * 700 // 1500,
                value=chooser.randrange(50 if few else 5),
                taken=True,
            )
            for i in range(1500)
        ]
    assert answers_in_batches(queries, records, 50, chooser) == naive_answers(queries, records)


def one(query: Query, *records: tuple[int, int] | tuple[int, int, bool]) -> list[int | None]:
    """Answer one query for records (time, value) of one key."""
    series = Series([query], late_ms=1000)
    batch = [Record(0, r[0], r[1], r[2] if len(r) == 3 else True) for r in records]
    return [answer for (answer,) in listed(process(series, [0] * len(batch), batch))]


def test_a_window_ends_at_the_event_time_and_begins_after_its_length_before() -> None:
    assert one(Query("count", 10), (NOW, 0), (NOW + 9, 0), (NOW + 10, 0)) == [1, 2, 2]


def test_a_late_record_does_not_count_what_is_later() -> None:
    assert one(Query("sum", 10), (NOW, 1), (NOW + 5, 10), (NOW + 3, 100), (NOW + 5, 1000)) == [
        1,
        11,
        101,
        1111,
    ]


def test_a_record_that_is_not_taken_sees_the_window_without_it() -> None:
    assert one(Query("count", 10), (NOW, 0, False), (NOW, 0), (NOW + 1, 0, False)) == [0, 1, 1]


@pytest.mark.parametrize("function", ["min", "max"])
def test_an_empty_window_has_no_extreme(function: Function) -> None:
    assert one(Query(function, 10), (NOW, 5), (NOW + 10, 7, False)) == [5, None]


def test_a_sum_beyond_int64_is_no_answer_until_it_fits_again() -> None:
    query = Query("sum", 10)
    assert one(query, (NOW, MAX), (NOW + 1, 1), (NOW + 2, -1), (NOW + 10, 5)) == [
        MAX,
        None,
        MAX,
        5,
    ]
    assert one(query, (NOW, MIN), (NOW, -1), (NOW, MIN), (NOW + 10, MIN)) == [MIN, None, None, MIN]


def test_a_hundred_thousand_sums_beyond_int64_are_seen() -> None:
    n = 100_000
    series = Series([Query("sum", 2 * n)], late_ms=0)
    batch = [Record(0, NOW + i, MAX, taken=True) for i in range(n)]
    answers = process(series, [0] * n, batch)
    assert answers.valid.sum() == 1


def test_the_first_large_value_changes_no_other_sum() -> None:
    """Memory for the high bits of sums is taken when a value needs it, with entries there."""
    queries = [Query("sum", 50), Query("max", 50)]
    chooser = random.Random(3)
    records = long_stream(n=900, keys=20, step_ms=2, late_ms=10, different=2**36, seed=3)
    for i in range(450, 900, 9):
        records[i] = records[i]._replace(value=chooser.choice([MIN, MAX, 2**36, -(2**36)]))
    assert answers_in_batches(queries, records, 10, chooser) == naive_answers(queries, records)


@pytest.mark.parametrize("evicting", [True, False])
def test_entries_are_numbered_anew_before_int32_ends(*, evicting: bool) -> None:
    """A slot that is never empty counts on and on; here it is set near the end by hand."""
    series = Series([Query(function, 3) for function in ("count", "sum", "min")], late_ms=0)
    process(series, [0], entries(1, time_ms=NOW))
    table: Any = series._store.table
    for name in ("first", "end", "origin"):
        table[name][0] += 2**30 - 8
    for i in range(1, 30):
        answers = listed(process(series, [0], entries(1, time_ms=NOW + i)))
        assert answers == [[min(3, i + 1), min(3, i + 1), 1]]
        series.evict(NOW + i, at_most=None if evicting else 0)
    assert table["end"][0] < 100


def test_the_year_9999() -> None:
    assert one(Query("count", 10), (YEAR_9999, 0), (YEAR_9999 + 9, 0), (YEAR_9999 + 1, 0)) == [
        1,
        2,
        2,
    ]


def test_entries_that_no_window_reaches_are_freed_and_their_slots_free() -> None:
    series = Series([Query("count", 100), Query("sum", 1000)], late_ms=50)
    keys = 20_000
    process(series, range(keys), entries(keys, time_ms=NOW))
    grown = series.nbytes
    series.evict(NOW + 1049)
    assert (series.entries, series.occupied().sum()) == (keys, keys)
    series.evict(NOW + 1050)
    assert (series.entries, series.occupied().sum()) == (0, 0)
    assert series.nbytes < grown / 2


def test_eviction_in_parts_reaches_every_slot() -> None:
    series = Series([Query("count", 100)], late_ms=50)
    process(series, range(700), entries(700, time_ms=NOW))
    for _ in range(8):
        series.evict(NOW + 10_000, at_most=100)
    assert series.entries == 0


def test_a_hot_slot_keeps_no_more_than_its_window_where_no_slot_is_swept() -> None:
    series = Series([Query("count", 100)], late_ms=0)
    for start in range(0, 100_000, 1000):
        batch = [Record(0, NOW + start + i, 1, taken=True) for i in range(1000)]
        process(series, [0] * 1000, batch)
        series.evict(NOW + start + 999, at_most=0)
    assert series.entries <= 2048
    assert series.nbytes < 100_000


def test_any_layout_of_a_column_will_do_without_compiling_anew() -> None:
    prepare()
    before = len(judge.signatures)  # type: ignore[attr-defined]
    series = Series([Query("sum", 100)], late_ms=0)
    slots, times = np.zeros(6, np.int32)[::2], np.full(3, NOW)
    slots.flags.writeable = times.flags.writeable = False
    answers = series.process(slots, times, np.arange(3), np.ones(3, np.bool_))  # type: ignore[arg-type]
    assert answers.values.tolist() == [[0, 1, 3]]
    assert len(judge.signatures) == before  # type: ignore[attr-defined]


def test_an_empty_batch_has_no_answers() -> None:
    assert process(Series([Query("count", 100)], late_ms=0), [], []).values.shape == (1, 0)


@pytest.mark.parametrize(
    ("queries", "late_ms"),
    [([], 0), ([Query("count", 0)], 0), ([Query("count", 10)], -1)],
)
def test_a_series_without_sense_is_refused(queries: list[Query], late_ms: int) -> None:
    with pytest.raises(ValueError, match="a series needs"):
        Series(queries, late_ms=late_ms)


@pytest.mark.parametrize(("slots", "values"), [([-1], [1]), ([0], [1, 2])])
def test_columns_that_would_reach_outside_the_memory_are_refused(
    slots: list[int], values: list[int]
) -> None:
    series = Series([Query("count", 10)], late_ms=0)
    with pytest.raises(ValueError, match="columns of one length"):
        series.process(np.array(slots), np.array([NOW]), np.array(values), np.array([True]))


def test_a_pool_too_large_for_its_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.windows.series.LAST_PLACE", 2000)
    series = Series([Query("count", 1000)], late_ms=0)
    n = 4000
    column = np.zeros(n, np.int64)
    with pytest.raises(MemoryError, match="more than 34 GB"):
        series.process(column, column, column, column == 0)
