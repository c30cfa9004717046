from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.streams.limit import MOST_RECORDS, TransactionLimit


def test_transactions_shrink_after_one_that_took_too_long_and_grow_after_quick_ones() -> None:
    limit = TransactionLimit()
    limit.too_slow(8000)
    assert limit.records == 4000
    limit.committed(4000, 3.0)  # slow: no larger ones
    assert limit.records == 4000
    limit.committed(4000, 0.1)
    limit.committed(8000, 0.1)
    assert limit.records == MOST_RECORDS


def test_a_transaction_of_one_record_is_the_smallest() -> None:
    limit = TransactionLimit()
    for _ in range(20):
        limit.too_slow(1)
    assert limit.records == 1


@given(total=st.integers(1, 3000), data=st.data())
def test_a_refused_record_is_found_and_all_others_are_committed(
    total: int, data: st.DataObject
) -> None:
    """The loop in small: a transaction with the bad record fails, one without it succeeds."""
    bad = data.draw(st.integers(0, total - 1))
    limit = TransactionLimit()
    done, attempts = 0, 0
    while done < total:
        attempts += 1
        n = min(limit.records, total - done)
        if done <= bad < done + n:
            if n == 1:
                bad = -1  # it becomes a dead letter
                continue
            limit.rejected(n)
        else:
            limit.committed(n, 0.1)
            done += n
    assert bad == -1
    assert not limit.searching
    assert attempts <= 10 + 5 * total.bit_length()
