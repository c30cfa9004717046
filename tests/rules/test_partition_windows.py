"""The windows of a partition against a list that is looked through anew for each transaction."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.columns import JsonDecoder
from services.engine import Engine
from services.rules import Compiler, Ruleset
from services.rules.aggregates import plan
from services.rules.expressions import NOTHING
from services.rules.numbering import Rows
from services.rules.partition_windows import PartitionWindows
from services.transactions import Schema, load_schema
from services.transactions.fields import Field
from tests.support.rules import rule

LATE_MS = 2000
DECIMALS = {"USD": 2, "JPY": 0, "KWD": 3}
SCHEMA = Schema(
    (
        Field(name="source", type="string", required=True),
        Field(name="amount", type="double", required=True, currency="currency"),
        Field(name="currency", type="currency", required=True),
        Field(name="fee", type="double", currency="fee_currency"),
        Field(name="fee_currency", type="currency"),
        Field(name="items", type="int"),
        Field(name="target", type="string"),
        Field(name="timestamp", type="timestamp"),
    )
)
COMPILER = Compiler(SCHEMA)


class Asked(NamedTuple):
    """An aggregate, as a rule would have it."""

    function: str
    of: str = ""
    window: str = "1s"
    where: str = ""


ASKED = [
    Asked("Count"),
    Asked("Count", window="3s"),
    Asked("Count", where="transaction.amount > 5.0"),
    Asked("Sum", "amount"),
    Asked("Avg", "amount"),
    Asked("Sum", "amount", "3s"),
    Asked("Min", "amount", "3s"),
    Asked("Max", "amount", where="transaction.amount > 5.0"),
    Asked("Sum", "fee"),
    Asked("Avg", "fee", "3s"),
    Asked("Sum", "items"),
    Asked("Avg", "items"),
    Asked("Min", "items", "3s"),
    Asked("CountDistinct", "target", "3s"),
    Asked("CountDistinct", "source"),
    Asked("CountDistinct", "items"),
    Asked("Max", "items", where="has(transaction.target) && transaction.target == 'x'"),
]


def compiled(asked: list[Asked]) -> Any:
    aggregates = [
        {
            "name": f"a{i}",
            "function": one.function,
            "groupBy": "source",
            "window": one.window,
            **({"of": one.of} if one.of else {}),
            **({"where": one.where} if one.where else {}),
        }
        for i, one in enumerate(asked)
    ]
    parts = (aggregates[i : i + 8] for i in range(0, len(aggregates), 8))
    return [
        COMPILER.compile(rule(f"r{n}", "transaction.amount > 0.0", aggregates=part))
        for n, part in enumerate(parts)
    ]


def passes(one: Asked, transaction: Any) -> bool:
    if "amount" in one.where:
        return bool(transaction.amount > 5.0)
    return not one.where or transaction.target == "x"


def naive(one: Asked, seen: list[tuple[int, Any]], time_ms: int, now: Any) -> Any:
    """What an aggregate comes to, by the definition."""
    length = int(one.window[:-1]) * 1000
    inside = [
        t
        for at, t in seen
        if time_ms - length < at <= time_ms and t.source == now.source and passes(one, t)
    ]
    if one.function == "Count":
        return len(inside)
    if one.function == "CountDistinct":
        return len({getattr(t, one.of) for t in inside} - {None})
    currency = {"amount": "currency", "fee": "fee_currency"}.get(one.of)
    inside = [t for t in inside if getattr(t, one.of) is not None]
    if currency:
        code = getattr(now, currency)
        scale = 10 ** DECIMALS[code] if code else 1
        inside = [t for t in inside if code and getattr(t, currency) == code]
        numbers = [round(getattr(t, one.of) * scale) for t in inside]
    else:
        scale = 0
        numbers = [getattr(t, one.of) for t in inside]
    if one.function == "Sum":
        total = sum(numbers)
        if not -(2**63) <= total < 2**63:
            return NOTHING
        return total / scale if scale else total
    if not numbers:
        return NOTHING
    if one.function == "Avg":
        total = sum(numbers)
        if not -(2**63) <= total < 2**63:
            return NOTHING
        return (total / scale if scale else total) / len(numbers)
    best = min(numbers) if one.function == "Min" else max(numbers)
    return best / scale if scale else best


def transactions(sources: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    amounts = st.sampled_from([0.01, 0.125, 1.0, 5.0, 5.01, 7.005, 1e12, 9e15]) | st.floats(
        0.001, 1000
    )
    return st.fixed_dictionaries(
        {
            "source": sources,
            "amount": amounts,
            "currency": st.sampled_from(["USD", "USD", "USD", "JPY", "KWD"]),
            # Of what goes before; now and then a long pause, after which keys are forgotten.
            "ahead": st.sampled_from([0, 0, 1, 7, 400, 999, 1000, 1001, 3000, 60_000]),
            "late": st.sampled_from([0, 0, 0, 0, 1, 500, 1000, 2000]),
        },
        optional={
            # Far ahead of all others, who then must lose nothing; and of its own key's next ones.
            "early": st.sampled_from([0, 0, 0, 2500, 61_000, 10**13]),
            "fee": amounts,
            "fee_currency": st.sampled_from(["USD", "JPY"]),
            "items": st.sampled_from([0, 1, -1, 5, 2**62, -(2**63), 2**63 - 1]),
            "target": st.sampled_from(["x", "y", "z"]),
        },
    )


@settings(max_examples=150)
@given(
    st.lists(
        st.lists(transactions(st.sampled_from("abcd") | st.text(max_size=2)), max_size=12),
        max_size=12,
    ),
    st.sets(st.integers(0, len(ASKED) - 1), min_size=1),
)
def test_each_value_is_that_of_a_look_through_all_that_came(
    batches: list[list[dict[str, Any]]], chosen: set[int]
) -> None:
    asked = [ASKED[i] for i in sorted(chosen)]
    compare(batches, asked)


def compare(batches: list[list[dict[str, Any]]], asked: list[Asked]) -> int:
    """Feed batches to both; how many values were compared."""
    rules = compiled(asked)
    ruleset = Ruleset(rules, COMPILER.environment)
    places = {value: i for i, value in enumerate(ruleset.windows.values)}
    named = {name: places[value] for r in rules for name, value in r.values.items()}
    windows, engine = PartitionWindows(ruleset.windows, LATE_MS), Engine(ruleset)
    seen: list[tuple[int, Any]] = []
    stream_time = 1_000_000
    compared = 0
    for batch in batches:
        structs, times = [], []
        for fields in batch:
            stream_time += fields["ahead"]
            known = {k: v for k, v in fields.items() if k not in {"ahead", "late", "early"}}
            structs.append(SCHEMA.decode(msgspec.json.encode(known)))
            times.append(stream_time - fields["late"] + fields.get("early", 0))
        decoded = JsonDecoder(SCHEMA).decode(list(map(msgspec.json.encode, structs)))
        counted = engine.counted(decoded, structs.__getitem__)
        columns = windows.process(Rows(decoded), np.array(times, np.int64), counted)
        windows.forget_before(stream_time, len(structs))
        for row, (time_ms, now) in enumerate(zip(times, structs, strict=True)):
            seen.append((time_ms, now))
            for n, one in enumerate(asked):
                found = columns[named[f"a{n}"]].value(row)
                wanted = naive(one, seen, time_ms, now)
                assert shown(found) == shown(wanted), (
                    f"{one}: {shown(found)} and not {shown(wanted)}, {now} at {time_ms}"
                )
                compared += 1
    return compared


def shown(value: Any) -> str:
    return "nothing" if value is NOTHING or value is None else repr(value)


def rows(schema: Schema, transactions: list[Any]) -> Rows:
    values = [msgspec.json.encode(transaction) for transaction in transactions]
    return Rows(JsonDecoder(schema).decode(values))


def test_numbers_given_anew_bring_nothing_of_the_keys_before() -> None:
    rng = np.random.default_rng(5)
    batches = []
    for n in range(60):
        # Other keys every few batches, in several currencies, and pauses that outlast the windows.
        keys = [f"k{n // 4 * 5 + int(i)}" for i in rng.integers(0, 9, 20)]
        batches.append(
            [
                {
                    "source": key,
                    "amount": float(rng.integers(1, 900)) / 100,
                    "currency": ["USD", "USD", "JPY", "KWD"][int(rng.integers(0, 4))],
                    "target": "xyz"[int(rng.integers(0, 3))],
                    "ahead": int(rng.integers(0, 400)),
                    "late": int(rng.integers(0, LATE_MS + 1)),
                }
                for key in keys
            ]
        )
    assert compare(batches, ASKED) == 60 * 20 * len(ASKED)


def test_windows_that_are_no_longer_asked_for_are_dropped() -> None:
    rules = compiled([Asked("CountDistinct", "target"), Asked("Sum", "items")])
    whole = plan(rules[0].values.values())
    windows = PartitionWindows(whole, LATE_MS)
    (kept,) = (v for v in whole.values if v.function == "Sum")
    windows.keep(plan([kept]))
    paid = SCHEMA.decode(
        msgspec.json.encode({"source": "a", "amount": 1.0, "currency": "USD", "items": 4})
    )
    (column,) = windows.process(rows(SCHEMA, [paid]), np.array([1], np.int64), {})
    assert column.value(0) == 4


@pytest.mark.parametrize("amount", [0.1 + 0.2, 1.005, 2.675, 999_999_999_999.99])
def test_money_is_added_up_in_minor_units(amount: float) -> None:
    compiler = Compiler(load_schema(None))
    spent = {
        "name": "spent",
        "function": "Sum",
        "of": "amount",
        "groupBy": "source",
        "window": "1h",
    }
    ready = compiler.compile(rule("r", "spent > 0.0", aggregates=[spent]))
    windows = PartitionWindows(plan(ready.values.values()), 0)
    document = {"source": "a", "target": "b", "amount": amount, "currency": "USD"}
    paid = [compiler.schema.decode(msgspec.json.encode(document)) for _ in range(10)]
    (found,) = windows.process(rows(compiler.schema, paid), np.arange(10, dtype=np.int64), {})
    column = found.values.tolist()
    assert found.valid.all()
    assert column == [round(amount * 100) * n / 100 for n in range(1, 11)]
    assert math.isclose(column[-1], amount * 10, rel_tol=1e-2)
