"""Conditions over columns: what the program decides, and what it leaves to the evaluator."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from services.columns import Doubles, JsonDecoder, Whole
from services.engine import Engine, Program, Value
from services.rules import Compiler, Ruleset
from services.transactions import Field, Schema
from tests.support.rules import rule

SCHEMA = Schema(
    (
        Field(name="source", type="string", required=True),
        Field(name="target", type="string"),
        Field(name="amount", type="double", required=True),
        Field(name="fee", type="double"),
        Field(name="count", type="int"),
        Field(name="abroad", type="bool"),
        Field(name="currency", type="currency"),
        Field(name="channel", type="string", enum=("web", "shop")),
        Field(name="settled", type="timestamp"),
        Field(name="timestamp", type="timestamp"),
    )
)
COMPILER = Compiler(SCHEMA)
# Thursday, 1 January 2026, 12:34:56 UTC.
AT_MS = 1_767_270_896_000
PAYMENT = {"source": "alice", "amount": 10.0, "timestamp": AT_MS}
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def decided(expression: str, *transactions: dict[str, Any]) -> list[bool | None]:
    """What the program says of each transaction, None for undecided ones."""
    columns = JsonDecoder(SCHEMA).decode([msgspec.json.encode(PAYMENT | t) for t in transactions])
    assert not columns.rejections
    checked = COMPILER.environment.compile(expression).checked
    masks, undecided = Program(SCHEMA, [(checked, {})]).decide(columns)
    asked = undecided.get(0, [])
    return [None if i in asked else masks.get(i, 0) == 1 for i in range(len(transactions))]


@pytest.mark.parametrize(
    ("expression", "fields", "answer"),
    [
        ("transaction.amount > 9.0", {}, True),
        ("9.0 < transaction.amount", {}, True),
        ("transaction.amount >= 10.0", {}, True),
        ("10.0 >= transaction.amount", {}, True),
        ("transaction.amount <= 9.9", {}, False),
        ("transaction.amount != 10.0", {}, False),
        ("transaction.amount + 1.0 == 11.0", {}, True),
        ("transaction.amount - 1.0 < transaction.fee * 4.0", {"fee": 3.0}, True),
        ("-transaction.amount / 4.0 == -2.5", {}, True),
        ("transaction.amount / transaction.fee > 1e308", {}, True),  # a missing number is 0
        ("-transaction.amount / transaction.fee < -1e308", {}, True),
        ("transaction.fee / transaction.fee == 1.0", {}, False),  # NaN
        ("transaction.fee / transaction.fee != 1.0", {}, True),
        ("(transaction.abroad ? transaction.fee : transaction.amount) == 10.0", {}, True),
        ("double(transaction.count) == 3.0", {"count": 3}, True),
        ("transaction.count * 2 + 1 == 7", {"count": 3}, True),
        ("transaction.count / 2 == -1", {"count": -3}, True),
        ("transaction.count % 2 == -1", {"count": -3}, True),
        ("-transaction.count == 3", {"count": -3}, True),
        ("(transaction.abroad ? 1 : 2) == 1", {"abroad": True}, True),
        ("transaction.count in [1, 2, 3]", {"count": 3}, True),
        ("transaction.count in [transaction.count]", {"count": 3}, True),
        ("transaction.count in []", {"count": 3}, False),
        ("transaction.abroad", {}, False),
        ("!transaction.abroad", {}, True),
        ("transaction.abroad == has(transaction.fee)", {"abroad": True, "fee": 1.0}, True),
        ("transaction.abroad ? transaction.abroad : true", {}, True),
        ("has(transaction.fee)", {}, False),
        ("has(transaction.timestamp)", {}, True),
        ("transaction.source == 'alice'", {}, True),
        ("'alice' != transaction.source", {}, False),
        ("transaction.source in ['bob', 'alice']", {}, True),
        ("transaction.source == transaction.target", {"target": "alice"}, True),
        ("transaction.source == transaction.target", {"target": "alicf"}, False),
        ("transaction.target == ''", {}, True),
        ("transaction.source.startsWith('al')", {}, True),
        ("transaction.source.endsWith('ice')", {}, True),
        ("transaction.source.contains('lic')", {}, True),
        ("transaction.source.contains('lid')", {}, False),
        ("transaction.source.contains('')", {}, True),
        ("size(transaction.source) == 5", {"source": "ål😀ce"}, True),
        ("transaction.source.endsWith('😀ce')", {"source": "ål😀ce"}, True),
        ("transaction.currency == 'EUR'", {"currency": "EUR"}, True),
        ("transaction.currency == 'EUR'", {}, False),
        ("transaction.currency == ''", {}, True),
        ("transaction.currency in ['USD', 'EUR']", {"currency": "EUR"}, True),
        ("transaction.channel == 'web'", {"channel": "web"}, True),
        ("transaction.channel != 'mail'", {"channel": "web"}, True),
        ("transaction.timestamp.getHours() == 12", {}, True),
        ("transaction.timestamp.getMinutes() == 34", {}, True),
        ("transaction.timestamp.getSeconds() == 56", {}, True),
        ("transaction.timestamp.getDayOfWeek() == 4", {}, True),
        ("transaction.settled < transaction.timestamp", {"settled": AT_MS - 1}, True),
        ("transaction.settled.getHours() == 0", {}, True),
        ("transaction.settled.getHours() == 0", {"settled": "0001-01-01T00:00:00Z"}, True),
        ("transaction.settled.getHours() == 23", {"settled": "9999-12-31T23:59:59.999999Z"}, True),
    ],
)
def test_the_program_decides(expression: str, fields: dict[str, Any], answer: bool) -> None:
    assert decided(expression, fields) == [answer]


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("transaction.count + 1 > 0", {"count": HIGHEST}),
        ("transaction.count - 1 > 0", {"count": LOWEST}),
        ("transaction.count * 2 > 0", {"count": HIGHEST}),
        ("-transaction.count > 0", {"count": LOWEST}),
        ("transaction.count / -1 > 0", {"count": LOWEST}),
        ("transaction.count % -1 > 0", {"count": LOWEST}),
        ("1 / transaction.count > 0", {}),
        ("1 % transaction.count > 0", {}),
        ("transaction.source.matches('^a')", {}),
        ("size(transaction.currency) == 3", {"currency": "EUR"}),
        ("transaction.source + 'x' == 'alicex'", {}),
        ("transaction.source < 'bob'", {}),
        ("(transaction.count + 1) in [1, 2]", {"count": HIGHEST}),
        ("transaction.settled.getHours() >= 0", {"settled": "0001-01-01T00:00:00+10:00"}),
        ("transaction.settled > transaction.timestamp", {"settled": "9999-12-31T23:59:59-10:00"}),
    ],
)
def test_the_evaluator_is_asked(expression: str, fields: dict[str, Any]) -> None:
    assert decided(expression, fields) == [None]


def test_only_rows_without_a_result_are_undecided() -> None:
    rows = [{"count": n} for n in (1, HIGHEST, 2, 0)] * 40
    assert decided("transaction.count + 1 > 2", *rows) == [False, None, True, False] * 40


FAILS = "transaction.count + 1 > 0"


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        (f"false && {FAILS}", False),
        (f"{FAILS} && transaction.abroad", False),
        (f"transaction.amount > 0.0 || {FAILS}", True),
        (f"{FAILS} || !transaction.abroad", True),
        (f"transaction.amount > 0.0 && {FAILS}", None),
        (f"{FAILS} || transaction.abroad", None),
        (f"!({FAILS})", None),
        (f"({FAILS}) == transaction.abroad", None),
        (f"transaction.abroad ? {FAILS} : true", True),
        (f"transaction.abroad ? true : {FAILS}", None),
        (f"{FAILS} ? true : true", None),
        (f"transaction.amount < 0.0 && transaction.source.matches('a') || {FAILS}", None),
        ("transaction.amount < 0.0 && transaction.source.matches('a')", False),
        ("1 in [1, transaction.count + 1]", None),
    ],
)
def test_what_is_undecided_matters_only_where_nothing_else_decides(
    expression: str, answer: bool | None
) -> None:
    assert decided(expression, {"count": HIGHEST}) == [answer]


def test_equal_parts_are_computed_once() -> None:
    one = "transaction.amount > 9.0 && transaction.source.startsWith('a')"
    texts = [one, f"{one} && transaction.abroad", f"{one} || transaction.abroad"]
    checked = [(COMPILER.environment.compile(text).checked, dict[str, int]()) for text in texts]
    steps = [len(Program(SCHEMA, checked[:n]).code.steps) for n in (1, 2, 3)]
    assert steps == [3, 5, 6]


SPENT = {"name": "spent", "function": "Max", "of": "count", "groupBy": "source", "window": "1h"}
USUAL = {"name": "usual", "function": "Avg", "of": "count", "groupBy": "source", "window": "1h"}


def test_values_of_aggregates_are_columns_too_and_a_missing_one_is_asked_for() -> None:
    errors: list[str] = []
    compiled = [
        COMPILER.compile(rule("r0", "spent > 3 && usual < 2.5", aggregates=[SPENT, USUAL])),
        COMPILER.compile(rule("r1", "transaction.amount > 9.0 || spent > 3", aggregates=[SPENT])),
    ]
    ruleset = Ruleset(compiled, COMPILER.environment, on_error=lambda name, _: errors.append(name))
    values: dict[str, Whole | Doubles] = {
        "Max": Whole(np.array([4, 4, 0, 5]), np.array([True, True, False, True])),
        "Avg": Doubles(np.array([2.0, 3.0, 0.0, 0.0]), np.array([True, True, False, False]), None),
    }
    ordered = [values[v.function] for v in ruleset.windows.values]
    rows = [PAYMENT, PAYMENT | {"amount": 1.0}, PAYMENT | {"amount": 1.0}, PAYMENT]
    encoded = [msgspec.json.encode(row) for row in rows]
    columns = JsonDecoder(SCHEMA).decode(encoded)
    masks = Engine(ruleset).masks(columns, ordered, lambda row: SCHEMA.decode(encoded[row]))
    assert masks == {0: 0b11, 1: 0b10, 3: 0b10}
    assert sorted(errors) == ["r0", "r0", "r1"]


def test_rows_that_are_no_transaction_match_nothing() -> None:
    columns = JsonDecoder(SCHEMA).decode([b"{", msgspec.json.encode(PAYMENT), b"{}"])
    checked = COMPILER.environment.compile("transaction.amount < 100.0").checked
    failing = COMPILER.environment.compile("1 / transaction.count == 1").checked
    masks, undecided = Program(SCHEMA, [(checked, {}), (failing, {})]).decide(columns)
    assert (masks, undecided) == ({1: 1}, {1: [1]})


def test_a_hundred_conditions_are_one_mask() -> None:
    texts = [f"transaction.amount > {n}.5" for n in range(130)]
    checked = [(COMPILER.environment.compile(text).checked, dict[str, int]()) for text in texts]
    amounts = [0.0, 10.0, 63.6, 64.6, 128.7, 1000.0]
    encoded = [msgspec.json.encode(PAYMENT | {"amount": amount}) for amount in amounts]
    masks, _ = Program(SCHEMA, checked).decide(JsonDecoder(SCHEMA).decode(encoded))
    wanted = {i: sum(1 << n for n in range(130) if amounts[i] > n + 0.5) for i in range(6)}
    assert masks == {i: mask for i, mask in wanted.items() if mask}


def test_no_rules_and_no_rows() -> None:
    columns = JsonDecoder(SCHEMA).decode([msgspec.json.encode(PAYMENT)])
    assert Program(SCHEMA, []).decide(columns) == ({}, {})
    checked = COMPILER.environment.compile("transaction.abroad").checked
    empty = JsonDecoder(SCHEMA).decode([])
    assert Program(SCHEMA, [(checked, {})], [Value("int", optional=True)]).decide(
        empty, [Whole(np.zeros(0, np.int64), np.zeros(0, np.bool_))]
    ) == ({}, {})


def test_a_row_is_decoded_once_for_all_conditions_that_leave_it_undecided() -> None:
    texts = ["transaction.source.matches('^a')", "transaction.source.matches('e$')"]
    compiled = [COMPILER.compile(rule(f"r{i}", text)) for i, text in enumerate(texts)]
    encoded = [msgspec.json.encode(PAYMENT | {"source": name}) for name in ("alice", "abel", "bob")]
    decoded: list[int] = []

    def transaction(row: int) -> Any:
        decoded.append(row)
        return SCHEMA.decode(encoded[row])

    columns = JsonDecoder(SCHEMA).decode(encoded)
    masks = Engine(Ruleset(compiled, COMPILER.environment)).masks(columns, (), transaction)
    assert masks == {0: 0b11, 1: 0b01}
    assert decoded == [0, 1, 2]
