"""The stream time against its definition, and what no clock that is ahead may do to others."""

from __future__ import annotations

from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from services.detector.reading import Reader
from services.detector.stream_time import NEVER, StreamTime
from services.transactions import load_schema
from tests.detector.records import AT_MS, batch, record

SIZE = 8
HOUR_MS = 3_600_000


def reader() -> Reader:
    return Reader(load_schema(None), max_future_ms=5000, max_late_ms=1000, block_records=SIZE)


def by_definition(times: list[tuple[int, int]], start: int, until: int) -> int:
    """The stream time before a record's block, of offsets and event times."""
    blocks: dict[int, list[int]] = {}
    for offset, time in times:
        if offset // SIZE < until // SIZE and (offset // SIZE * SIZE) >= start:
            blocks.setdefault(offset // SIZE, []).append(time)
    votes = [median_low(block) for block in blocks.values() if len(block) >= 3]
    return max(votes, default=NEVER)


@given(
    st.integers(0, 2 * SIZE),
    st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 2, 30]), st.integers(-9, 9)), max_size=60),
    st.lists(st.integers(1, 20), min_size=60, max_size=60),
)
def test_the_stream_time_is_the_largest_median_of_the_blocks_before(
    start: int, steps: list[tuple[int, int]], sizes: list[int]
) -> None:
    times = []
    offset = start - 1
    for step, time in steps:
        offset += step
        times.append((offset, AT_MS + time))
    stream_time = reader().stream_time(start)
    at = 0
    for size in sizes:
        if at >= len(times):
            break
        part = times[at : at + size]
        made = batch(*(record(o, timestamp=t) for o, t in part))
        reader().read(made, {0: stream_time})
        assert stream_time.time_ms == by_definition(times, start, part[-1][0])
        at += size


@given(st.integers(0, 5 * SIZE), st.integers(0, 5 * SIZE))
def test_reading_again_from_a_mark_finds_the_same_stream_time(first: int, again: int) -> None:
    records = [record(i, timestamp=AT_MS + i * i % 37 * 100) for i in range(6 * SIZE)]
    stream_time = StreamTime(0, size=SIZE)
    first, again = sorted((first, again))
    for part in (records[:first], records[first:again]):
        mark = stream_time.mark
        reader().read(batch(*part), {0: stream_time})
    found = StreamTime(mark.block, mark.time_ms, size=SIZE)
    reader().read(batch(*records[mark.block : again]), {0: found})
    assert found.time_ms == stream_time.time_ms
    assert found.mark == stream_time.mark


def test_clocks_that_are_ahead_make_none_of_the_others_late() -> None:
    stream_time = StreamTime(0, ahead_ms=5000, size=SIZE)
    for block in range(5):
        # Less than half of each block is of a producer whose clock is an hour ahead.
        times = [AT_MS + block] * 5 + [AT_MS + HOUR_MS] * 3
        records = [
            record(block * SIZE + i, timestamp=time, at_ms=time) for i, time in enumerate(times)
        ]
        assert not reader().read(batch(*records), {0: stream_time}).rejected
    assert stream_time.time_ms == AT_MS + 3
    assert stream_time.ahead == 4 * 3


def test_the_first_record_after_a_quiet_night_is_in_time() -> None:
    stream_time = StreamTime(0, size=SIZE)
    night = 10 * HOUR_MS
    records = [record(i, timestamp=AT_MS) for i in range(SIZE)]
    morning = [record(SIZE + i, timestamp=AT_MS + night, at_ms=AT_MS + night) for i in range(2)]
    read = reader().read(batch(*records, *morning), {0: stream_time})
    assert (read.rejected, read.out_of_order) == ({}, 0)


def test_a_block_of_which_the_log_has_only_the_end_does_not_vote() -> None:
    stream_time = reader().stream_time(3)
    records = [record(i, timestamp=AT_MS) for i in range(3, SIZE + 1)]
    reader().read(batch(*records), {0: stream_time})
    assert stream_time.time_ms == NEVER
