"""What values random transactions have."""

from __future__ import annotations

import json
import string
from decimal import Decimal
from typing import Any

import pytest

from services.generator.profile import Uniform

MANY = 20_000
VALUES: list[dict[str, Any]] = [
    json.loads(value, parse_float=Decimal)
    for _, value in Uniform(1).records(MANY, 1_767_225_600_123)
]


class Told:
    """A random source that gives the bytes it is told."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def randbytes(self, n: int) -> bytes:
        """Give the first n of them."""
        return self._data[:n]


@pytest.mark.parametrize("n", [0, 1, 1_000])
def test_as_many_are_made_as_were_asked_for(n: int) -> None:
    assert len(Uniform(1).records(n, 0)) == n


@pytest.mark.parametrize("place", range(12))
def test_every_letter_and_digit_occurs_at_every_place(place: int) -> None:
    seen = {value["target"][place] for value in VALUES}
    assert seen == set(string.ascii_letters + string.digits)


def test_accounts_do_not_recur() -> None:
    assert len({value[side] for value in VALUES for side in ("source", "target")}) == 2 * MANY


def test_ids_do_not_recur() -> None:
    assert len({value["id"] for value in VALUES}) == MANY


def test_amounts_are_from_1_to_1000() -> None:
    amounts = [value["amount"] for value in VALUES]
    assert Decimal("1.00") <= min(amounts) <= max(amounts) <= Decimal("1000.00")


def test_amounts_have_two_decimals() -> None:
    assert {value["amount"].as_tuple().exponent for value in VALUES} == {-2}


def test_amounts_are_spread_evenly() -> None:
    tenths = [0] * 10
    for value in VALUES:
        tenths[min(int((value["amount"] - 1) * 10 / 999), 9)] += 1
    assert tenths == pytest.approx([MANY / 10] * 10, rel=0.1)


@pytest.mark.parametrize(
    ("word", "amount"), [(0, b"1.00"), (5, b"1.05"), (99_900, b"1000.00"), (99_901, b"1.00")]
)
def test_the_least_and_the_greatest_amount_are_possible(word: int, amount: bytes) -> None:
    profile = Uniform(1)
    profile._random = Told(bytes(40) + word.to_bytes(4, "little"))  # type: ignore[assignment]
    [(_, value)] = profile.records(1, 0)
    assert b'"amount":%b,' % amount in value
