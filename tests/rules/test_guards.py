from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from services.rules import Compiler, Ruleset, generation
from services.transactions import load_schema
from tests.rules.support import rule

if TYPE_CHECKING:
    import pytest

COMPILER = Compiler(load_schema(None))
USUAL = {"source": "abc", "target": "b", "amount": 2.5, "currency": "USD"}

FIELDS = (
    {"source": "aa"},
    {"currency": "EUR"},
    {"country": "US"},
    {"amount": 5.0},
    {"source": "aa", "country": "US", "amount": 5.0},
)
GUARDS = (
    "transaction.source == 'aa'",
    "has(transaction.country)",
    "size(transaction.source) / 2 == 1",
    "transaction.amount / 0.0 > 1.0",
)
RESTS = (
    "transaction.amount < 10.0",
    "transaction.country == 'US' && transaction.currency == 'USD'",
    "1 / (size(transaction.source) - 2) == 0",
    "(transaction.amount > 1.0 || transaction.source == 'b')",
)


def transaction(**fields: Any) -> Any:
    return COMPILER.schema.decode(msgspec.json.encode(USUAL | fields))


def test_rules_that_share_their_beginning_match_as_each_does_alone() -> None:
    texts = [f"{a} && {b}" for a, b in itertools.product(GUARDS, RESTS)] + list(RESTS)
    rules = [COMPILER.compile(rule(f"r{i:02}", text)) for i, text in enumerate(texts)]
    transactions = [transaction(**fields) for fields in FIELDS]
    together = Ruleset(rules, COMPILER.environment).matches(transactions)
    alone = [Ruleset([each], COMPILER.environment).matches(transactions) for each in rules]
    assert together == [
        sum(masks[t] << i for i, masks in enumerate(alone)) for t in range(len(transactions))
    ]
    assert any(together)


def test_a_shared_beginning_is_tested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    monkeypatch.setitem(generation.FUNCTIONS, "len", count)
    texts = [f"size(transaction.source) == 3 && transaction.amount > {n}.0" for n in range(5)]
    rules = [COMPILER.compile(rule(f"r{i}", text)) for i, text in enumerate(texts)]
    assert Ruleset(rules, COMPILER.environment).matches([transaction()]) == [0b111]
    assert counted == ["abc"]
