from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generator.profile import Uniform
from services.transactions import load_schema, settle_event_times

NOW_MS = 1_790_000_000_000
SHAPE = re.compile(
    rb'\{"source":"([0-9A-Za-z]{12})","target":"([0-9A-Za-z]{12})","amount":(\d{1,4}\.\d\d),'
    rb'"currency":"USD","id":"([0-9a-f]{32})","timestamp":(\d+)\}'
)


def decoded(n: int, seed: int | None = 1) -> list[dict[str, Any]]:
    return [msgspec.json.decode(value) for _, value in Uniform(seed).records(n, NOW_MS)]


def test_a_record_is_a_transaction_of_the_seed_project_with_id_and_timestamp() -> None:
    for _, value in Uniform(1).records(1000, NOW_MS):
        assert SHAPE.fullmatch(value)


def test_the_default_schema_takes_every_record() -> None:
    schema = load_schema(None)
    values = [value for _, value in Uniform(1).records(1000, NOW_MS)]
    transactions = list(map(schema.decode, values))
    assert settle_event_times(schema, transactions, [NOW_MS] * 1000, 0) == []
    assert {t.timestamp for t in transactions} == {NOW_MS}


def test_the_key_is_the_source() -> None:
    for key, value in Uniform(1).records(100, NOW_MS):
        assert msgspec.json.decode(value)["source"] == key.decode()


@given(seed=st.integers(0), steps=st.lists(st.integers(0, 20), max_size=8))
def test_a_seed_gives_the_same_data_however_the_calls_are_split(
    seed: int, steps: list[int]
) -> None:
    profile = Uniform(seed)
    split = [record for n in steps for record in profile.records(n, NOW_MS)]
    assert split == Uniform(seed).records(sum(steps), NOW_MS)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (None, None)])
def test_another_seed_or_none_gives_other_data(one: int | None, other: int | None) -> None:
    assert Uniform(one).records(1, NOW_MS) != Uniform(other).records(1, NOW_MS)


def test_the_timestamp_alone_does_not_follow_from_the_seed() -> None:
    ((_, earlier),), ((_, later),) = Uniform(1).records(1, 5), Uniform(1).records(1, 123_456)
    assert later == earlier.replace(b'"timestamp":5}', b'"timestamp":123456}')


def test_amounts_fill_their_range_and_no_more() -> None:
    cents = [round(t["amount"] * 100) for t in decoded(50_000)]
    assert 100 <= min(cents) < 200
    assert 99_900 < max(cents) <= 100_000
    assert sum(cents) / len(cents) == pytest.approx(50_050, rel=0.01)


def test_accounts_use_every_letter_and_digit_about_equally_often() -> None:
    counts = Counter("".join(t["source"] + t["target"] for t in decoded(10_000)))
    assert len(counts) == 62
    # The 8 characters that two more bytes of 256 fall to come 5 times in 256, the others 4 times.
    assert min(counts.values()) / 240_000 > 0.9 * 4 / 256
    assert max(counts.values()) / 240_000 < 1.1 * 5 / 256


def test_ids_and_accounts_do_not_recur() -> None:
    transactions = decoded(10_000)
    assert len({t["id"] for t in transactions}) == 10_000
    assert len({t[side] for t in transactions for side in ("source", "target")}) == 20_000
