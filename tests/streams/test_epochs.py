from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.streams.epochs import Written, rewritten_from

logs = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 40]), st.sampled_from([0, 0, 0, 0, 1, 2])),
    max_size=60,
)


def log_of(low: int, steps: list[tuple[int, int]]) -> list[Written]:
    """Records with gaps between their offsets, and epochs that never fall."""
    offset, epoch = low - 1, 0
    found = []
    for step, later in steps:
        offset, epoch = offset + step, epoch + later
        found.append(Written(offset, epoch))
    return found


@given(st.integers(0, 50), logs, st.integers(1, 400), st.integers(0, 12))
def test_the_first_record_of_a_later_leader_is_found(
    low: int, steps: list[tuple[int, int]], length: int, epoch: int
) -> None:
    log = log_of(low, steps)
    committed = low + length
    wanted = next((r.offset for r in log if r.epoch > epoch and r.offset < committed), None)

    def first_from(offset: int) -> Written | None:
        return next((r for r in log if r.offset >= offset), None)

    assert rewritten_from(first_from, low, committed, epoch) == wanted


def test_a_log_that_was_not_written_again_is_asked_twice_at_most() -> None:
    asked = []

    def first_from(offset: int) -> Written:
        asked.append(offset)
        # The last before the committed offset is a marker; a new leader wrote what comes after.
        return Written(100, 7) if offset > 98 else Written(offset, 3)

    assert rewritten_from(first_from, 0, 100, 3) is None
    assert asked == [99, 98]
