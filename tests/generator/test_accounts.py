"""What the profile `accounts` makes: accounts that recur, their habits, and bursts."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter, defaultdict
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generator.__main__ import Generator
from services.generator.accounts import Accounts, Burst, Kind
from services.generator.profile import Uniform
from services.generator.settings import GeneratorSettings
from services.transactions import load_schema, settle_event_times
from services.transactions.currencies import DECIMALS
from tests.generator.test_writing import values, without_time, written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

SCHEMA = load_schema(None)
NOW_MS = 1_790_000_000_000
INFINITE = float("inf")
SHAPE = re.compile(
    rb'\{"source":"[0-9A-Za-z]{12}","target":"[0-9A-Za-z]{12}","amount":\d{1,6}(\.\d\d)?,'
    rb'"currency":"[A-Z]{3}","id":"[0-9a-f]{32}","timestamp":\d+,"country":"[A-Z]{2}",'
    rb'"channel":"[a-z]+","device":"[0-9a-f]{16}"\}'
)
# Ten minutes at 200 records a second: some 90 bursts, 80 of which end in them.
RATE, SECONDS = 200, 600

seeds = st.integers(min_value=0)
sizes = st.integers(10, 10_000_000)
rates = st.floats(0.1, 10_000_000) | st.just(INFINITE)


class Stream(NamedTuple):
    """Records as they came, a second's at once, and the bursts seen after each second."""

    values: list[bytes]
    bursts: dict[tuple[str, Kind], Burst]
    ended: set[tuple[str, Kind]]


@cache
def stream() -> Stream:
    profile = Accounts(1, 10_000, RATE)
    made: list[bytes] = []
    bursts: dict[tuple[str, Kind], Burst] = {}
    for second in range(SECONDS):
        made += [value for _, value in profile.records(RATE, NOW_MS + 1000 * second)]
        under_way = {(burst.source.decode(), burst.kind): burst for burst in profile.bursts()}
        bursts |= under_way
    return Stream(made, bursts, bursts.keys() - under_way.keys())


@cache
def transactions() -> list[dict[str, Any]]:
    return [msgspec.json.decode(value) for value in stream().values]


def by_source() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for transaction in transactions():
        found[transaction["source"]].append(transaction)
    return found


def most_within(payments: list[dict[str, Any]], seconds: int) -> tuple[int, float]:
    """The greatest count and the greatest sum of any time so long, naively."""
    windows = [
        [p["amount"] for p in payments if 0 <= p["timestamp"] - start < seconds * 1000]
        for start in {p["timestamp"] for p in payments}
    ]
    return max(map(len, windows), default=0), max(map(sum, windows), default=0.0)


@given(seed=seeds, accounts=sizes, per_second=rates)
def test_the_default_schema_takes_every_record(seed: int, accounts: int, per_second: float) -> None:
    records = Accounts(seed, accounts, per_second).records(300, NOW_MS)
    decoded = [SCHEMA.decode(value) for _, value in records]
    assert settle_event_times(SCHEMA, decoded, [NOW_MS] * 300, 0) == []
    assert {t.timestamp for t in decoded} == {NOW_MS}
    assert [t.source.encode() for t in decoded] == [key for key, _ in records]


def test_every_record_has_the_same_fields_in_a_burst_or_not() -> None:
    assert all(map(SHAPE.fullmatch, stream().values))


@given(
    seed=seeds, accounts=sizes, per_second=rates, steps=st.lists(st.integers(0, 1000), max_size=6)
)
def test_the_same_arguments_give_the_same_data_however_the_calls_are_split(
    seed: int, accounts: int, per_second: float, steps: list[int]
) -> None:
    split, whole = (Accounts(seed, accounts, per_second) for _ in range(2))
    records = [record for n in steps for record in split.records(n, NOW_MS)]
    assert records == whole.records(sum(steps), NOW_MS)
    assert split.bursts() == whole.bursts()


def test_the_data_are_the_same_with_bursts_in_them_one_by_one() -> None:
    profile = Accounts(1, 10_000, RATE)
    one_by_one = [value for _ in range(20_000) for _, value in profile.records(1, NOW_MS)]
    assert without_time(one_by_one) == without_time(stream().values[:20_000])


def test_the_timestamp_alone_does_not_follow_from_the_seed() -> None:
    ((_, earlier),) = Accounts(1, 10, 1).records(1, 5)
    ((_, later),) = Accounts(1, 10, 1).records(1, 123_456)
    assert later == earlier.replace(b'"timestamp":5,', b'"timestamp":123456,')


@pytest.mark.parametrize(("one", "other"), [(1, 2), (0, 10), (None, None)])
def test_another_seed_or_none_gives_other_accounts(one: int | None, other: int | None) -> None:
    names = [{key for key, _ in Accounts(seed, 50, 1).records(2000, 0)} for seed in (one, other)]
    assert all(names)
    assert names[0].isdisjoint(names[1])


def test_ids_do_not_recur() -> None:
    assert len({t["id"] for t in transactions()}) == RATE * SECONDS


@pytest.mark.parametrize("accounts", [10, 11, 17, 100])
def test_there_are_as_many_accounts_as_were_asked_for(accounts: int) -> None:
    made = [msgspec.json.decode(v) for _, v in Accounts(1, accounts, 1).records(10_000, 0)]
    assert len({t["source"] for t in made}) == accounts
    assert {t["target"] for t in made} <= {t["source"] for t in made}


@pytest.mark.parametrize("accounts", [1000, 10_000, 50_000])
def test_the_most_active_hundredth_makes_a_quarter_of_all(accounts: int) -> None:
    records = Accounts(1, accounts, RATE).records(200_000, 0)
    counts = Counter(key for key, _ in records).most_common(accounts // 100)
    assert sum(n for _, n in counts) / 200_000 == pytest.approx(0.25, abs=0.03)
    assert accounts < 10_000 or counts[0][1] / 200_000 < 0.01


def test_an_account_keeps_to_its_habits() -> None:
    for payments in by_source().values():
        for habit in ("currency", "country", "channel"):
            assert len({p[habit] for p in payments}) == 1
        assert len({p["device"] for p in payments}) <= 2


def test_an_account_pays_2_to_8_others_and_the_first_of_them_most() -> None:
    seen = set()
    for source, payments in by_source().items():
        targets = Counter(p["target"] for p in payments)
        assert source not in targets
        assert len(targets) <= 8
        if len(payments) >= 200:
            seen.add(len(targets))
            (_, most), *_, (_, least) = targets.most_common()
            assert most > 1.3 * least
    assert seen == set(range(2, 9))


@pytest.mark.parametrize("accounts", [10, 11, 12, 17, 40])
def test_accounts_that_are_few_have_different_counterparties_too(accounts: int) -> None:
    profile, parties = Accounts(3, accounts, 1), defaultdict(set)
    for key, value in profile.records(30_000, 0):
        parties[key].add(msgspec.json.decode(value)["target"])
    assert all(key.decode() not in targets for key, targets in parties.items())
    wanted = Counter(2 + profile._habits(number)[6] % 7 for number in range(accounts))
    assert Counter(map(len, parties.values())) == wanted


def test_amounts_have_the_decimals_of_their_currency_and_are_within_bounds() -> None:
    for value in stream().values:
        found = SHAPE.fullmatch(value)
        assert found
        amount = Decimal(value.split(b'"amount":')[1].split(b",")[0].decode())
        currency = value.split(b'"currency":"')[1][:3].decode()
        assert amount.as_tuple().exponent == -DECIMALS[currency]
        assert 1 <= amount <= 100_000


def test_currencies_are_mostly_dollars() -> None:
    shares = Counter(t["currency"] for t in transactions())
    assert shares.keys() == {"USD", "EUR", "GBP", "JPY"}
    assert shares["USD"] / len(transactions()) == pytest.approx(0.8, abs=0.05)
    assert min(shares.values()) / len(transactions()) > 0.01


def test_amounts_are_about_the_accounts_own() -> None:
    drained = {source for source, kind in stream().bursts if kind == "draining"}
    tested = {source for source, kind in stream().bursts if kind == "card testing"}
    for source, payments in by_source().items():
        amounts = sorted(p["amount"] for p in payments)
        if len(amounts) >= 30 and source not in drained | tested:
            median = amounts[len(amounts) // 2]
            assert sum(median / 4 < a < median * 4 for a in amounts) / len(amounts) > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_a_rule_on_900_matches_some_but_not_many(seed: int) -> None:
    records = Accounts(seed, 10_000, 1000).records(20_000, 0)
    high = sum(msgspec.json.decode(value)["amount"] >= 900 for _, value in records)
    assert 0.02 < high / 20_000 < 0.12


def test_both_kinds_of_bursts_come_soon_at_the_rate_of_the_demo() -> None:
    profile = Accounts(1, 10_000, 1000)
    seen = set()
    for _ in range(60):
        profile.records(1000, 0)
        seen |= {(burst.kind, burst.source) for burst in profile.bursts()}
    kinds = Counter(kind for kind, _ in seen)
    assert min(kinds["card testing"], kinds["draining"]) >= 5


def test_card_testing_is_many_small_payments_within_a_minute_and_nothing_else_is() -> None:
    small = {
        source: most_within([p for p in payments if p["amount"] < 5], 60)[0]
        for source, payments in by_source().items()
    }
    bursts = {source for source, kind in stream().bursts if kind == "card testing"}
    ended = {source for source, kind in stream().ended if kind == "card testing"}
    assert len(ended) > 10
    assert all(10 <= small[source] <= 30 for source in ended)
    assert max(n for source, n in small.items() if source not in bursts) < 3


def test_draining_adds_up_to_more_than_20_times_the_usual_amount_within_5_minutes() -> None:
    payments = by_source()
    ended = [stream().bursts[key] for key in stream().ended if key[1] == "draining"]
    assert len(ended) > 10
    for burst in ended:
        _, total = most_within(payments[burst.source.decode()], 300)
        assert total > 20 * burst.usual


def test_a_burst_says_the_usual_amount_of_its_account() -> None:
    payments = by_source()
    for (source, _), burst in stream().bursts.items():
        amounts = sorted(p["amount"] for p in payments[source])
        if len(amounts) >= 100:
            assert amounts[len(amounts) // 2] == pytest.approx(burst.usual, rel=0.3)


@pytest.mark.parametrize("per_second", [0.1, 1, 20, 1000])
def test_about_one_percent_of_transactions_belong_to_bursts(per_second: float) -> None:
    profile = Accounts(1, 10_000, per_second)
    profile._bursts.of_next(1_000_000)
    assert len(profile._bursts.of_next(2_000_000)) == pytest.approx(20_000, rel=0.1)


def test_beyond_some_rate_bursts_only_get_shorter() -> None:
    fast = (20_000, 100_000, INFINITE)
    laid_out = [Accounts(1, 10, rate)._bursts.of_next(500_000) for rate in fast]
    assert laid_out[0] == laid_out[1] == laid_out[2]


def test_memory_does_not_grow_with_the_accounts() -> None:
    peaks = []
    for accounts in (10, 10, 10_000_000):  # the first also makes what is made once
        tracemalloc.start()
        Accounts(1, accounts, 1000).records(5000, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] == pytest.approx(peaks[1], rel=0.02)


@pytest.mark.parametrize(("name", "cls"), [("uniform", Uniform), ("accounts", Accounts)])
def test_the_profile_that_is_set_is_used(name: Any, cls: type) -> None:
    generator = Generator(GeneratorSettings(transactions_profile=name))
    assert isinstance(generator._profile(1.0), cls)


@pytest.mark.kafka
def test_the_service_writes_the_profile_that_is_set(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    chosen = {"TRANSACTIONS_PROFILE": "accounts", "TRANSACTIONS_ACCOUNTS": "50"}
    chosen |= {"TRANSACTIONS_SEED": "7", "TRANSACTIONS_COUNT": "1500"}
    records = written(broker, topics, tmp_path / "log", TRANSACTIONS_PER_SECOND="1500", **chosen)
    expected = [value for _, value in Accounts(7, 50, 1500).records(1500, 0)]
    assert without_time(values(records)) == without_time(expected)
