"""The pace, on a clock that the tests move."""

from __future__ import annotations

import random

import pytest

from services.generator.__main__ import MAX_WAIT_SECONDS, MIN_WAIT_SECONDS
from services.generator.pace import MAX_CATCH_UP_SECONDS, MAX_STEP_RECORDS, Pace

START = 1_000_000.0
INFINITE = float("inf")


def sent_within(pace: Pace, start: float, seconds: float, work: float = 0.0) -> int:
    """Run the generator's loop on a clock: send what is due, then wait for the next.

    Args:
        pace: to be followed.
        start: of the clock.
        seconds: how long.
        work: seconds that a record takes to make and send.

    """
    now, sent = start, 0
    while now < start + seconds:
        n = pace.due(now)
        sent += n
        now += n * work
        wait = pace.wait(now)
        now += min(max(wait, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS) if wait else 0.0
    return sent


@pytest.mark.parametrize("rate", [1.0, 7.5, 1000.0, 10_000.0, 123_456.0])
def test_a_minute_at_a_rate_is_the_rate_within_one_percent(rate: float) -> None:
    sent = sent_within(Pace(rate, START), START, 60.0, work=2e-6)
    assert sent == pytest.approx(60 * rate, rel=0.01, abs=1)


def test_a_rate_below_one_is_kept_too() -> None:
    assert sent_within(Pace(0.1, START), START, 101.0) == 10


def test_nothing_is_due_before_its_time() -> None:
    pace = Pace(2.0, START)
    assert pace.due(START + 0.49) == 0
    assert pace.wait(START + 0.49) == pytest.approx(0.01)
    assert pace.due(START + 0.51) == 1


def test_uneven_steps_do_not_move_the_rate() -> None:
    clock = random.Random(3)
    pace, now, sent = Pace(10_000.0, START), START, 0
    while now < START + 60:
        now += clock.uniform(0.0, 0.09)
        sent += pace.due(now)
    assert sent == pytest.approx(600_000, rel=0.01)


def test_a_short_stall_is_made_up_for() -> None:
    pace, stall = Pace(1000.0, START), 0.9 * MAX_CATCH_UP_SECONDS
    sent_within(pace, START, 10.0)
    assert sent_within(pace, START + 10 + stall, 1.0) == pytest.approx(1000 * (1 + stall), abs=5)


def test_a_long_stall_is_made_up_for_in_part_and_then_the_rate_is_kept() -> None:
    pace = Pace(1000.0, START)
    sent_within(pace, START, 10.0)
    after = sent_within(pace, START + 3600, 1.0)
    assert after == pytest.approx(1000 * (1 + MAX_CATCH_UP_SECONDS), abs=5)
    assert sent_within(pace, START + 3601, 10.0) == pytest.approx(10_000, abs=5)


def test_a_step_is_bounded_so_that_a_stop_is_heard() -> None:
    assert Pace(1_000_000.0, START).due(START + 1) == MAX_STEP_RECORDS


def test_a_rate_beyond_what_can_be_done_becomes_as_fast_as_it_can() -> None:
    sent = sent_within(Pace(1_000_000.0, START), START, 10.0, work=1e-5)
    assert sent == pytest.approx(1_000_000, rel=0.01)


def test_as_fast_as_it_can_never_waits() -> None:
    pace = Pace(INFINITE, START)
    assert pace.due(START) == MAX_STEP_RECORDS
    assert pace.wait(START) == 0
