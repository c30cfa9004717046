"""What holds of the pace at any rate and any steps, and at its edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generator.pace import MAX_STEP_RECORDS, Pace

START = 1_000_000.25  # a monotonic clock begins anywhere

rates = st.floats(min_value=0.1, max_value=10_000_000)
# Up to a stall of some seconds.
steps = st.lists(st.floats(min_value=0, max_value=3), max_size=60)


@given(rates, steps)
def test_a_step_is_never_more_than_its_bound(rate: float, waits: list[float]) -> None:
    pace, now = Pace(rate, START), START
    for wait in waits:
        now += wait
        assert 0 <= pace.due(now) <= MAX_STEP_RECORDS


@given(rates, steps)
def test_no_more_are_sent_than_the_time_gave(rate: float, waits: list[float]) -> None:
    pace, now, total = Pace(rate, START), START, 0
    for wait in waits:
        now += wait
        total += pace.due(now)
    # A float has some 1e-10 s at a monotonic clock of this size.
    assert total <= (now - START) * rate * (1 + 1e-9) + rate * 1e-9 * len(waits)


@pytest.mark.parametrize("rate", [1, 7.5, 1_000, 10_000, 123_456])
def test_where_there_is_no_wait_one_is_due(rate: float) -> None:
    pace, start = Pace(rate, 1_000_000.0), 1_000_000.0
    now = start + pace.wait(start)
    assert pace.due(now) == 1 or pace.wait(now) > 0, f"at {now!r}: none due, and no wait"


def test_a_clock_that_stands_still_or_goes_back_makes_nothing_due() -> None:
    pace = Pace(100, START)
    pace.due(START + 1)
    assert [pace.due(START + at) for at in (1, 0.5, 0)] == [0, 0, 0]


def test_after_a_stall_a_slow_rate_still_sends_the_one_that_was_due() -> None:
    pace = Pace(0.5, START)  # one after 2 seconds, the second after 4
    assert pace.due(START + 3.5) == 1


def test_after_a_long_stall_a_fast_rate_makes_up_for_a_second_in_many_steps() -> None:
    pace, now = Pace(10_000, START), START + 3_600
    assert sum(pace.due(now) for _ in range(100)) == pytest.approx(10_000, abs=1)
