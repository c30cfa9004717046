"""FraudRules with windows that must not go live, as in `bad_manifests`."""

from __future__ import annotations

import json
from typing import Any

from tests.operator.one_wrong import ABSENT, GOOD, PAYMENT, BadManifest, put

AGGREGATES = [
    {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"},
    {"name": "spent", "function": "Sum", "of": "amount", "groupBy": "source", "window": "1h"},
]
GIVEN = {"repeat": 3, "every": "10s", "transaction": PAYMENT}
WINDOWED = {
    "expression": "payments >= 4 && spent > 100.0",
    "aggregates": AGGREGATES,
    "examples": [
        {"name": "the fourth", "given": [GIVEN], "transaction": PAYMENT, "expect": "Match"}
    ],
}
GOOD_WITH_WINDOWS: dict[str, Any] = {**GOOD, "spec": WINDOWED}


def windowed(
    name: str, field: str, value: Any, says: str, server_says: str = "", *, blames: str = ""
) -> BadManifest:
    """The good rule with windows and one field of spec set, or taken away."""
    manifest = json.loads(json.dumps(GOOD_WITH_WINDOWS))  # no two parts are one object
    put(manifest, f"spec.{field}", value)
    return BadManifest(name, manifest, f"spec.{blames or field}", says, server_says)


def count(name: str, field: str, value: Any, says: str, server_says: str = "") -> BadManifest:
    """The good rule with something wrong in its Count."""
    return windowed(f"a Count with {name}", f"aggregates[0].{field}", value, says, server_says)


def total(name: str, field: str, value: Any, says: str, server_says: str = "") -> BadManifest:
    """The good rule with something wrong in its Sum."""
    return windowed(f"a Sum with {name}", f"aggregates[1].{field}", value, says, server_says)


def given(name: str, field: str, value: Any, says: str, server_says: str = "") -> BadManifest:
    """The good rule with something wrong in what its example is given."""
    path = f"examples[0].given[0].{field}"
    return windowed(f"given {name}", path, value, says, server_says)


def paid(name: str, field: str, value: Any, says: str) -> BadManifest:
    """The good rule with a transaction before its example's that is none."""
    transaction = "examples[0].given[0].transaction"
    return windowed(f"given {name}", f"{transaction}.{field}", value, says, blames=transaction)


def saying(name: str, expression: str, says: str) -> BadManifest:
    """The good rule with another expression."""
    return windowed(name, "expression", expression, says)


def only(name: str, where: str, says: str) -> BadManifest:
    """The good rule with a condition on what counts."""
    return windowed(f"a where with {name}", "aggregates[0].where", where, says)


_DURATION = "expected a whole number and s, m or h, as in 90s"
_NAME = "expected a small letter and then letters, digits and `_`"

WINDOWS_REFUSED_BY_SCHEMA = (
    windowed(
        "aggregates by name",
        "aggregates",
        {"payments": {}},
        "Expected `array`, got `object`",
        'unknown field "spec.aggregates.payments"',
    ),
    windowed("aggregates in words", "aggregates", "a count", "found 'a count'; expected `array`"),
    windowed("an aggregate that is null", "aggregates[0]", None, "Expected `object`, got `null`"),
    windowed("an aggregate in words", "aggregates[0]", "Count", "found 'Count'; expected `object`"),
    windowed("an empty aggregate", "aggregates[0]", {}, "is missing", blames="aggregates[0].name"),
    windowed(
        "nine aggregates",
        "aggregates",
        [{**AGGREGATES[0], "name": f"payments_{i}"} for i in range(9)],
        "expected 8 at most",
    ),
    windowed(
        "two aggregates of one name",
        "aggregates[1].name",
        "payments",
        "there is an aggregate `payments` already",
        "spec.aggregates[1]: Duplicate value",
    ),
    windowed("misspelt aggregates", "aggregate", AGGREGATES, "did you mean `aggregates`?"),
    count("no name", "name", ABSENT, "is missing"),
    count("an empty name", "name", "", "found ''"),
    count("a capital letter", "name", "Payments", f"found 'Payments', {_NAME}"),
    count("a hyphen", "name", "small-payments", "choose another name, as in payments_1h"),
    count("a digit first", "name", "1m_payments", f"found '1m_payments', {_NAME}"),
    count("a dot", "name", "transaction.payments", _NAME),
    count("a letter that looks Latin", "name", "p\u0430yments", _NAME),
    count("a line end after it", "name", "payments\n", "ends in a newline"),
    count("a long name", "name", "a" * 64, "expected 63 at most"),
    count("a number for a name", "name", 5, "put the value in quotes"),
    count("no function", "function", ABSENT, "is missing"),
    count("a small letter", "function", "count", "write Count"),
    count("SQL's function", "function", "COUNT(*)", "found 'COUNT(*)', expected one of Count"),
    count("another name of a function", "function", "average", "write Avg"),
    count("a function that is none", "function", "P99", "CountDistinct, Sum, Avg, Min, Max"),
    count("a field", "of", "amount", "found a field on a Count, expected none"),
    count("a field that is a number", "of", 5, "Expected `str`, got `int`"),
    count("no groupBy", "groupBy", ABSENT, "is missing"),
    count("an empty groupBy", "groupBy", "", "found ''"),
    count(
        "two fields to group by",
        "groupBy",
        ["source", "target"],
        "Expected `str`, got `array`",
    ),
    count("group_by", "group_by", "source", "did you mean `groupBy`?"),
    count("no window", "window", ABSENT, "is missing"),
    count("a window that is null", "window", None, "is missing"),
    count("a minute in words", "window", "1 minute", f"found '1 minute', {_DURATION}"),
    count("five minutes in words", "window", "5min", "write 5m"),
    count("a window without its unit", "window", "60", "write 60s"),
    count("a number for a window", "window", 60, f"found 60, {_DURATION}"),
    count("half a minute", "window", "0.5m", f"found '0.5m', {_DURATION}"),
    count("two units", "window", "1h30m", f"found '1h30m', {_DURATION}"),
    count("milliseconds", "window", "500ms", f"found '500ms', {_DURATION}"),
    count("a day", "window", "1d", f"found '1d', {_DURATION}"),
    count("no time at all", "window", "0s", "1s is the least"),
    count("a negative window", "window", "-1m", f"found '-1m', {_DURATION}"),
    count("digits of another script", "window", "\u0661m", _DURATION),
    count("a line end after its window", "window", "1m\n", "ends in a newline"),
    count("two hours", "window", "2h", "found a window of more than an hour"),
    count("a second too many", "window", "3601s", "expected 1h at most; write a shorter one"),
    count("a minute too many", "window", "61m", "expected 1h at most; write a shorter one"),
    count("a filter", "filter", "true", "known are name, function, groupBy, window, of, where"),
    count("a number for a condition", "where", 5, "Expected `str`, got `int`"),
    count("a long condition", "where", "true || " * 130 + "true", "expected 1024 at most"),
    total("no field", "of", ABSENT, "found none, expected a field"),
    total("an empty field", "of", "", "name it, as in of: amount"),
    total("a misspelt of", "off", "amount", "did you mean `of`?"),
    total("a long field", "of", "a" * 64, "expected 63 at most"),
    windowed("given in words", "examples[0].given", "three before", "expected `array`, got `str`"),
    windowed(
        "given as one",
        "examples[0].given",
        GIVEN,
        "Expected `array`, got `object`",
        'unknown field "spec.examples[0].given.every"',
    ),
    windowed("17 given", "examples[0].given", [GIVEN] * 17, "expected 16 at most"),
    windowed("given null", "examples[0].given[0]", None, "Expected `object`, got `null`"),
    given("no transaction", "transaction", ABSENT, "is missing"),
    given("a transaction in words", "transaction", "alice pays", "expected `object`, got `str`"),
    given(
        "a transaction of 65 fields",
        "transaction",
        {f"f{i}": i for i in range(65)},
        "expected 64 at most",
    ),
    given("none", "repeat", 0, "found 0; expected `int` >= 1"),
    given("1001", "repeat", 1001, "found 1001; expected `int` <= 1000"),
    given("text for a number", "repeat", "3", "found '3'; expected `int`, got `str`"),
    given("half a transaction", "repeat", 0.5, "found 0.5; expected `int`"),
    given("two at once", "every", "0s", "1s is the least"),
    given("a second in words", "every", "1 second", "write 1s"),
    given("a number of seconds", "every", 10, "write 10s"),
    given("a line end", "every", "1s\n", "ends in a newline"),
    given("a misspelt field", "evry", "1s", "did you mean `every`?"),
    given("something nested", "transaction.unread", {"a": 1}, "found a list or an object"),
    given("a long text", "transaction.source", "x" * 1025, "has 1025 characters, and 1024 is"),
)

WINDOWS_REFUSED_BY_WEBHOOK = (
    count("a reserved name", "name", "namespace", "is a word of the expressions"),
    count("the transaction's name", "name", "transaction", "is a word of the expressions"),
    count("a misspelt group", "groupBy", "sorce", "did you mean `source`?"),
    count("another group", "groupBy", "target", "the input topic is keyed by source"),
    count("transaction before its group", "groupBy", "transaction.source", "no field `transact"),
    total("a misspelt field", "of", "amuont", "did you mean `amount`?"),
    total("text", "of", "country", "a Sum is of a number, and `country` is a string"),
    total("a time", "of", "timestamp", "`timestamp` is a timestamp"),
    only("a whole number", "transaction.amount < 5", "write 5.0"),
    only("a misspelt field", "transaction.amuont < 5.0", "did you mean `transaction.amount`?"),
    only("another aggregate", "spent < 5.0", "`spent` is not known"),
    only("a number", "transaction.amount", "gives a double, and a rule needs a condition"),
    only("nothing but space", " ", "the expression breaks off"),
    only("a loop over text", "transaction.source.exists(c, c == 'a')", "cannot be the range"),
    only("a bad pattern", "transaction.source.matches('(')", "missing ): ("),
    only("1001 steps", f"[{'1,' * 400}1].all(x, [1, 2, 3].all(y, x < y))", "loops of 1203 steps"),
    saying("a decimal for a count", "payments > 3.0", "write 3\n"),
    saying("half a count", "payments > 3.5", "with `double(payments)`"),
    saying("a whole number for a sum", "spent > 100", "write 100.0"),
    saying("a sum on the right", "100 < spent", "write 100.0"),
    saying("a count with an amount", "payments > 3 && transaction.amount > payments", "(payments)"),
    saying("a sum by a count", "spent / payments > 10.0", "with `double(payments)`"),
    saying("a misspelt aggregate", "paymets > 3", "did you mean `payments`?"),
    saying("its own aggregate as a field", "transaction.payments > 3", "write `payments`\n"),
    saying("a misspelt one as a field", "transaction.spend > 3.0", "aggregate `spent`?"),
    saying("a count and text", "payments > 'three'", "`payments` is a number: compare it with"),
    saying("a count in quotes", "payments > '3'", "`payments` is a number: leave the quotes out"),
    saying("text and a count", "transaction.source == payments", "compare it with one"),
    saying("a count and null", "payments == null", "is guarded by a Count"),
    saying("has of an aggregate", "has(payments)", "is guarded by a Count"),
    saying("a count for a condition", "payments", "gives a int, and a rule needs a condition"),
    saying("SQL's count", "count(payments) > 3", "declare what is counted"),
    saying("a list of decimals", "payments in [1.0, 2.0]", "as in `[1, 2]`"),
    saying("a loop over an aggregate", "payments.exists(x, x > 3)", "cannot be the range"),
    paid("a bad amount", "amount", -1, "out_of_range, amount: found -1"),
    paid("a bad currency", "currency", "usd", 'unknown_currency, currency: found "usd"'),
    paid("no source", "source", ABSENT, "missing_field, `source` is missing"),
    paid("a bad time", "timestamp", "noon", 'invalid_timestamp, timestamp: found "noon"'),
    windowed(
        "one too few is given",
        "examples[0].given[0].repeat",
        2,
        "gives NoMatch, and Match was expected (payments is 3, spent is 2850.0)",
        blames="examples[0]",
    ),
    windowed(
        "what is given is too old",
        "examples[0].given[0].every",
        "30s",
        "(payments is 2, spent is 3800.0)",
        blames="examples[0]",
    ),
    windowed(
        "an aggregate without a value",
        "aggregates[1]",
        {**AGGREGATES[1], "function": "Min", "where": "transaction.amount < 1.0"},
        "spent is without a value",
        blames="examples[0]",
    ),
    windowed(
        "more than a day is given",
        "examples[0].given[0].every",
        "9h",
        "what is given takes more than a day",
        blames="examples[0].given",
    ),
    windowed(
        "10,001 given",
        "examples",
        [
            {
                "name": f"{i}",
                "given": [{**GIVEN, "repeat": 1000 if i < 10 else 1}],
                "transaction": PAYMENT,
                "expect": "Match",
            }
            for i in range(11)
        ],
        "`given` has 10001 transactions; the limit is 10000",
    ),
)
