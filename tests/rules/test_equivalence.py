"""The generated code gives Google's evaluator's answer, on a hundred thousand random pairs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from services.rules import Compiler, FraudRule, RuleError, Ruleset
from services.rules.expressions import evaluate
from services.rules.generation import FUNCTIONS
from services.transactions import load_schema

if TYPE_CHECKING:
    from pathlib import Path

    from services.rules import CompiledRule

EXPRESSIONS = 2500
TRANSACTIONS = 50
SCHEMA = """\
fields:
- {name: source, type: string, required: true}
- {name: amount, type: double, required: true}
- {name: currency, type: currency, required: true}
- {name: count, type: int, required: true}
- {name: trusted, type: bool, required: true}
- {name: timestamp, type: timestamp}
- {name: country, type: string}
- {name: age, type: int}
- {name: risk, type: double}
- {name: known, type: bool}
"""
TEXTS = ["", "a", "ab", "é", "\U0001f600", "US", "USD", "z" * 40]
INTS = [0, 1, -1, 2, 3, 7, 10, 2**31, 2**62, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, 1.0, -1.0, 0.1, 2.5, 900.0, 1e12, 1e300, -1e300, 5e-324]


class Writer:
    """Writes random well-typed expressions, those of the generator's list and others."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def bool(self, depth: int) -> str:
        plain = ["true", "false", "transaction.trusted", "transaction.known"]
        fields = ["country", "age", "risk", "known", "timestamp"]
        plain += [f"has(transaction.{name})" for name in fields]
        if depth <= 0:
            return self.rng.choice(plain)
        make = self.rng.choice([self._logic, self._order, self._order, self._text, self._other])
        return make(depth - 1)

    def _logic(self, depth: int) -> str:
        a, b, c = (self.bool(depth) for _ in range(3))
        return self.rng.choice([f"({a} && {b})", f"({a} || {b})", f"!({a})", f"({a} ? {b} : {c})"])

    def _order(self, depth: int) -> str:
        of = self.rng.choice([self.int, self.double, self.text])
        operator = self.rng.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"{of(depth)} {operator} {of(depth)}"

    def _text(self, depth: int) -> str:
        a, b = self.text(depth), self.text(depth)
        function = self.rng.choice(["startsWith", "endsWith", "contains"])
        elements = ", ".join(self.text(0) for _ in range(self.rng.randint(0, 3)))
        return self.rng.choice([f"{a}.{function}({b})", f"{a} in [{elements}]"])

    def _other(self, depth: int) -> str:
        numbers = ", ".join(str(self.rng.choice(INTS)) for _ in range(3))
        return self.rng.choice([
            f"{self.int(depth)} in [{numbers}]",
            f"{self.double(depth)} in [1.0, 2.5]",
            f"[{numbers}].exists(x, x > {self.int(0)})",
            f"{self.text(0)}.matches('^[a-z]+$')",
            "transaction.timestamp > timestamp('2020-01-01T00:00:00Z')",
            f"transaction.timestamp.getDayOfMonth() == {self.int(0)}",
        ])

    def int(self, depth: int) -> str:
        clock = ["getHours", "getMinutes", "getSeconds", "getDayOfWeek"]
        plain = ["transaction.count", "transaction.age", str(self.rng.choice(INTS))]
        plain.append(f"transaction.timestamp.{self.rng.choice(clock)}()")
        if depth <= 0:
            return self.rng.choice(plain)
        a, b = self.int(depth - 1), self.int(depth - 1)
        return self.rng.choice([
            f"({a} {self.rng.choice('+-*/%')} {b})",
            f"(-({a}))",
            f"size({self.text(depth - 1)})",
            f"({self.bool(0)} ? {a} : {b})",
            f"int({self.double(0)})",
            *plain,
        ])

    def double(self, depth: int) -> str:
        plain = ["transaction.amount", "transaction.risk", repr(self.rng.choice(DOUBLES))]
        if depth <= 0:
            return self.rng.choice(plain)
        a, b = self.double(depth - 1), self.double(depth - 1)
        return self.rng.choice([
            f"({a} {self.rng.choice('+-*/')} {b})",
            f"(-({a}))",
            f"double({self.int(depth - 1)})",
            f"({self.bool(0)} ? {a} : {b})",
            *plain,
        ])

    def text(self, depth: int) -> str:
        literal = msgspec.json.encode(self.rng.choice(TEXTS)).decode()
        plain = ["transaction.source", "transaction.currency", "transaction.country", literal]
        if depth <= 0:
            return self.rng.choice(plain)
        a, b = self.text(depth - 1), self.text(depth - 1)
        return self.rng.choice([f"({a} + {b})", f"({self.bool(0)} ? {a} : {b})", *plain])


def transactions(rng: random.Random, compiler: Compiler, n: int) -> list[Any]:
    """Random transactions, optional fields now there and now not."""
    made = []
    for _ in range(n):
        value: dict[str, Any] = {
            "source": rng.choice(TEXTS),
            "amount": rng.choice([*DOUBLES, rng.uniform(-1000, 1000)]),
            "currency": rng.choice(["USD", "JPY"]),
            "count": rng.choice([*INTS, rng.randint(-100, 100)]),
            "trusted": rng.random() < 0.5,
            "timestamp": rng.randint(0, 2_000_000_000_000),
        }
        optional = {
            "country": rng.choice(["", "US", "DE"]),
            "age": rng.choice(INTS),
            "risk": rng.choice(DOUBLES),
            "known": rng.random() < 0.5,
        }
        value |= {name: v for name, v in optional.items() if rng.random() < 0.5}
        made.append(compiler.schema.decode(msgspec.json.encode(value)))
    return made


def compiled(compiler: Compiler, expression: str, name: str = "rule") -> CompiledRule:
    """Compile an expression as a rule."""
    rule = {
        "apiVersion": "frauddetection.io/v1alpha1",
        "kind": "FraudRule",
        "metadata": {"name": name},
        "spec": {"expression": expression},
    }
    return compiler.compile(msgspec.convert(rule, FraudRule))


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    file = tmp_path / "schema.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    return Compiler(load_schema(file))


def differences(compiler: Compiler, seed: int, expressions: int) -> tuple[list[str], int, int]:
    """Compare the two ways; the differing expressions, how many fell back, and how many pairs."""
    rng = random.Random(seed)
    writer = Writer(rng)
    sample = transactions(rng, compiler, TRANSACTIONS)
    activations = [compiler.environment.activation(t) for t in sample]
    differing, fallbacks, done = [], 0, 0
    while done < expressions:
        text = writer.bool(3)
        try:
            rule = compiled(compiler, text)
        except RuleError:  # too deep, or two literals that do not go together
            continue
        done += 1
        fallbacks += rule.code is None
        masks = Ruleset([rule], compiler.environment).matches(sample)
        official = [evaluate(rule.expression, activation) is True for activation in activations]
        if [mask == 1 for mask in masks] != official:
            differing.append(text)
    return differing, fallbacks, done * TRANSACTIONS


def test_generated_code_gives_the_evaluators_answer(
    compiler: Compiler, capsys: pytest.CaptureFixture[str]
) -> None:
    """Takes 3 s."""
    differing, fallbacks, pairs = differences(compiler, 20261124, EXPRESSIONS)
    with capsys.disabled():
        share = fallbacks / EXPRESSIONS
        print(f"\n{pairs:,} pairs compared; {share:.1%} of the expressions fell back")
    assert pairs >= 100_000
    assert differing == []
    assert 0 < fallbacks < EXPRESSIONS / 2


def test_the_comparison_notices_pythons_own_modulo(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FUNCTIONS, "modulo", lambda a, b: a % b)
    differing, _, _ = differences(compiler, 1, 600)
    assert any("%" in text for text in differing)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-7 / 2 == -3 && -7 % 2 == -1 && 7 % -2 == 1", True),
        ("transaction.count / 0 == 1 || true", True),
        ("transaction.count / 0 == 1 && false", False),
        ("transaction.count / 0 == 1", False),
        ("9223372036854775807 + transaction.count > 0", False),
        ("1.0 / 0.0 > 1e308", True),
        ("0.0 / 0.0 == 0.0 / 0.0", False),
        ("size('\U0001f600é') == 2", True),
        ("'\uffff' < '\U0001f600'", True),
    ],
)
def test_what_python_and_cel_do_differently_goes_cels_way(
    compiler: Compiler, expression: str, expected: bool  # noqa: FBT001 - a table
) -> None:
    value = b'{"source": "a", "amount": 1, "currency": "USD", "count": 1, "trusted": true}'
    rule = compiled(compiler, expression)
    masks = Ruleset([rule], compiler.environment).matches([compiler.schema.decode(value)])
    assert masks == [int(expected)]
