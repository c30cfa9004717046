"""A part of a rule that fails on every transaction is a problem when the rule is read."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from services.rules import Problem, RuleError
from services.rules.expressions import evaluate
from tests.support.rules import COMPILER, payment, rule

if TYPE_CHECKING:
    from pathlib import Path

WHERE = {"name": "n", "function": "Count", "groupBy": "source", "window": "1m"}
HOURS = "transaction.timestamp.getHours({}) < 6"
ALWAYS_FAILS = [
    (HOURS.format('"Europe/Berlim"'), "Europe/Berlim", 'did you mean "Europe/Berlin"?'),
    (HOURS.format('"europe/berlin"'), "europe/berlin", 'write "Europe/Berlin"'),
    (HOURS.format('"Berlin"'), "Berlin", 'did you mean "Europe/Berlin"?'),
    (HOURS.format('"New York"'), "New York", 'did you mean "America/New_York"?'),
    (HOURS.format('"GMT+5"'), "GMT+5", 'write "+05:00"'),
    (HOURS.format('"localtime"'), "localtime", 'as in "Europe/Berlin"'),
    (HOURS.format('""'), "IANA", 'as in "Europe/Berlin"'),
    (HOURS.format('"/usr/share/zoneinfo/UTC"'), "IANA", 'as in "Europe/Berlin"'),
    (HOURS.format('"file:UTC"'), "IANA", 'as in "Europe/Berlin"'),
    (HOURS.format("transaction.country"), "read from the transaction", "choose among several"),
    (HOURS.format('transaction.country == "X" ? "UTC" : "Z"'), '"Z"', 'as in "Europe/Berlin"'),
    (HOURS.format('{"DE": "Berln"}[transaction.country]'), '"Berln"', "Europe/Berlin"),
    ('transaction.timestamp.getFullYear("X/Y") > 1', '"X/Y"', "Europe/Berlin"),
    ('duration("1d") > duration("1s")', "Duration", 'duration("24h")'),
    ('transaction.timestamp > timestamp("2026-01-01")', "Timestamp", "2026-01-01T00:00:00Z"),
    ("timestamp(99999999999999) > transaction.timestamp", "timestamp overflow", "years 1 to 9999"),
    ('transaction.amount > double("x")', "cannot convert string to double", "without the conv"),
    ('size(transaction.source) > int("x")', "cannot convert string to int", "without the conv"),
    ("size(transaction.source) > int(1e30)", "out of int64 range", "write decimals"),
    ("9223372036854775807 + 1 > size(transaction.source)", "integer overflow", "write decimals"),
    ("1 / 0 == size(transaction.source)", "divide by zero", "for decimals write 0.0"),
    ("size(transaction.source) / 0 == 1", "divided by zero", "for decimals write 0.0"),
    ("size(transaction.source) % (1 - 1) == 1", "divided by zero", "for decimals write 0.0"),
    ("transaction.amount > 1.0 || 1 / 0 == 1", "divide by zero", "for decimals write 0.0"),
    ('["a"][1] == transaction.source', "Index error", "has the index 0"),
    ('{"a": 1}["b"] == 1', "Key not found", "a key that the map has"),
    ('[0, 0].exists(x, 1 / x > 0) && transaction.source == "a"', "divide by zero", "0.0"),
    ('dyn("a") + 1 == 2', "No matching overloads", "leave it out"),
]


def problems(expression: str, where: str = "") -> tuple[Problem, ...]:
    """The problems of a rule."""
    aggregates = [{**WHERE, "where": where}] if where else []
    with pytest.raises(RuleError) as rejected:
        COMPILER.compile(rule("r", expression, aggregates=aggregates))
    return rejected.value.problems


@pytest.mark.parametrize(("expression", "found", "hint"), ALWAYS_FAILS, ids=lambda v: v[:40])
def test_what_always_fails_is_a_problem_with_a_hint(expression: str, found: str, hint: str) -> None:
    [problem] = problems(expression)
    assert problem.field == "spec.expression"
    assert found in problem.message
    assert hint in problem.hint
    assert problem.excerpt == expression


@pytest.mark.parametrize("expression", [row[0] for row in ALWAYS_FAILS], ids=lambda v: v[:40])
def test_it_is_a_problem_of_a_where_too(expression: str) -> None:
    [problem] = problems("n > 3", expression)
    assert problem.field == "spec.aggregates[0].where"


def test_each_of_several_has_its_place() -> None:
    text = 'transaction.amount > 1.0 &&\n  "é😀" == "a" && duration("1x") > duration("1y")'
    first, second = problems(text)
    assert [(p.line, p.column) for p in (first, second)] == [(2, 18), (2, 35)]
    assert text.split("\n")[1][17:].startswith('duration("1x")')


@pytest.mark.parametrize(
    "expression",
    [
        "1.0 / 0.0 > transaction.amount",
        'transaction.timestamp - duration("1h30m") > timestamp("2020-01-01T00:00:00Z")',
        HOURS.format('"-05:30"'),
        HOURS.format('"UTC"'),
        HOURS.format('{"DE": "Europe/Berlin", "US": "America/New_York"}[transaction.country]'),
        HOURS.format('transaction.country == "DE" ? "Europe/Berlin" : "UTC"'),
        "[1, 0].exists(x, 1 / x > 0)",
        "100 / size(transaction.source) > 3",
        "type(1) == int",
    ],
)
def test_what_may_succeed_is_none(expression: str) -> None:
    assert COMPILER.compile(rule("r", expression)).expression.text == expression


@pytest.mark.parametrize("zones", ["/nonexistent", "/usr/share/zoneinfo"])
def test_time_zones_do_not_depend_on_the_machine(zones: str, tmp_path: Path) -> None:
    text = 'transaction.timestamp.getHours("Europe/Berlin") == 13'
    script = tmp_path / "zone.py"
    script.write_text(
        "from services.rules.expressions import evaluate\n"
        "from tests.support.rules import COMPILER, payment\n"
        "environment = COMPILER.environment\n"
        f"condition = environment.compile({text!r})\n"
        "print(evaluate(condition, environment.activation(payment(), {})))\n"
    )
    run = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "TZDIR": zones, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "True\n"


def test_every_zone_of_the_list_is_one_of_the_evaluator() -> None:
    environment = COMPILER.environment
    now = environment.activation(payment(), {})
    names = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    for zone in (*names, "+02:00", "-5:30", "14:00"):
        condition = environment.compile(f"transaction.timestamp.getHours({zone!r}) < 24")
        assert evaluate(condition, now) is True, zone
