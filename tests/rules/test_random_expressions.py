"""Generated code says what Google's evaluator says, on random expressions and transactions."""

from __future__ import annotations

import operator
import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from services.rules import CompiledRule, Compiler, RuleError, Ruleset, generation
from services.rules.expressions import evaluate
from services.transactions import load_schema
from tests.rules.expressions import SCHEMA, ExpressionSource, random_transaction
from tests.support.rules import decode, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SEED = 20_260_101
EXPRESSIONS = 4000
TRANSACTIONS_EACH = 40
RULES_TOGETHER = 8


class Outcome(msgspec.Struct):
    """What comparing found."""

    pairs: int = 0
    matches: int = 0
    errors: int = 0
    expressions: int = 0
    fell_back: int = 0
    differences: list[str] = []


class Failed:
    """Counts the failures that a ruleset tells of."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _rule: str, _error: str) -> None:
        """Count one."""
        self.count += 1


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    file: Path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    return Compiler(load_schema(file))


def compiled(compiler: Compiler, name: str, source: ExpressionSource) -> CompiledRule:
    """Compile the next condition that has no part that fails on every transaction."""
    while True:
        try:
            return compiler.compile(rule(name, source.condition()))
        except RuleError as error:
            if not all("fails on every transaction" in p.message for p in error.problems):
                raise


def compare(
    compiler: Compiler, source: ExpressionSource, chance: random.Random, expressions: int
) -> Outcome:
    """Judge transactions by rules in force and by the evaluator, and note where the two differ."""
    outcome = Outcome()
    pool = [random_transaction(compiler.schema, chance) for _ in range(500)]
    activations = [compiler.environment.activation(transaction, {}) for transaction in pool]
    for _ in range(expressions // RULES_TOGETHER):
        rules = [compiled(compiler, f"r{i}", source) for i in range(RULES_TOGETHER)]
        failed = Failed()
        judged = Ruleset(rules, compiler.environment, on_error=failed.note)
        chosen = chance.sample(range(len(pool)), TRANSACTIONS_EACH)
        masks = _masks(judged, [pool[i] for i in chosen])
        answers = [[evaluate(r.expression, activations[i]) for r in rules] for i in chosen]
        _note(outcome, rules, masks, answers, [pool[i] for i in chosen])
        errors = sum(isinstance(answer, str) for row in answers for answer in row)
        if errors != failed.count:
            outcome.differences.append(f"{errors} errors, and {failed.count} told")
    return outcome


def _masks(judged: Ruleset, transactions: list[Any]) -> list[int]:
    """The rules that match each transaction, each by its generated function."""
    conditions = judged.conditions
    truths = [conditions.truths(i, transactions) for i in range(len(conditions.all))]
    return [sum(t << i for i, t in enumerate(row)) for row in zip(*truths, strict=True)]


def _note(
    outcome: Outcome,
    rules: list[CompiledRule],
    masks: list[int],
    answers: list[list[bool | str]],
    transactions: list[Any],
) -> None:
    outcome.expressions += len(rules)
    outcome.fell_back += sum(compiled.code is None for compiled in rules)
    for mask, row, transaction in zip(masks, answers, transactions, strict=True):
        for i, (compiled, answer) in enumerate(zip(rules, row, strict=True)):
            outcome.pairs += 1
            outcome.matches += answer is True
            outcome.errors += isinstance(answer, str)
            if bool(mask >> i & 1) is not (answer is True):
                outcome.differences.append(
                    f"{compiled.expression.text}\n on {transaction}\n evaluator: {answer}"
                )


def test_generated_code_equals_the_evaluator_on_random_expressions(
    compiler: Compiler, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    outcome = compare(compiler, ExpressionSource(chance), chance, EXPRESSIONS)
    with capsys.disabled():
        print(  # noqa: T201 - the size of the proof is part of it
            f"\n{outcome.pairs} pairs of {outcome.expressions} expressions: "
            f"{outcome.fell_back / outcome.expressions:.0%} of them fell back, "
            f"{outcome.matches / outcome.pairs:.0%} of the pairs match, "
            f"{outcome.errors / outcome.pairs:.0%} are errors, "
            f"{len(outcome.differences)} differ"
        )
    assert outcome.differences[:3] == []
    assert outcome.pairs >= 100_000


def test_random_expressions_match_fail_and_fall_back_often_enough_to_prove_something(
    compiler: Compiler,
) -> None:
    chance = random.Random(SEED)
    outcome = compare(compiler, ExpressionSource(chance), chance, 400)
    shares = (
        outcome.matches / outcome.pairs,
        outcome.errors / outcome.pairs,
        outcome.fell_back / outcome.expressions,
    )
    assert all(0.02 < share < 0.7 for share in shares), shares


def _no_bounds(value: int) -> int:
    return value


def _bytes_of(text: str) -> int:
    return len(text.encode())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("modulo", operator.mod),
        ("divide", operator.floordiv),
        ("int64", _no_bounds),
        ("len", _bytes_of),
    ],
)
def test_a_wrong_function_in_generated_code_is_noticed(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., object]
) -> None:
    monkeypatch.setitem(generation.FUNCTIONS, name, wrong)
    chance = random.Random(SEED)
    outcome = compare(compiler, ExpressionSource(chance, unusual=0.0), chance, 800)
    assert outcome.differences


def test_a_wrong_first_day_of_the_week_is_noticed(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(generation._CLOCK, "timestamp_to_day_of_week", (86_400_000, 3, 7))
    chance = random.Random(SEED)
    outcome = compare(compiler, ExpressionSource(chance, unusual=0.0), chance, 800)
    assert outcome.differences


_USUAL: dict[str, object] = {
    "source": "alice",
    "amount": 1.0,
    "count": 1,
    "trusted": True,
    "currency": "USD",
}


def _both(compiler: Compiler, expression: str, values: dict[str, object]) -> tuple[bool, bool]:
    """What the rule in force says, and what the evaluator says."""
    compiled = compiler.compile(rule("r", expression))
    transaction = decode(compiler.schema, {**_USUAL, **values})
    answer = evaluate(compiled.expression, compiler.environment.activation(transaction, {}))
    judged = _masks(Ruleset([compiled], compiler.environment), [transaction])
    return judged == [1], answer is True


def _corners() -> Iterator[tuple[str, dict[str, object], bool]]:
    least, most = -(2**63), 2**63 - 1
    yield "transaction.count + 1 > 0", {"count": most}, False
    yield "transaction.count - 1 < 0", {"count": least}, False
    yield "-transaction.count > 0", {"count": least}, False
    yield "transaction.count / -1 > 0", {"count": least}, False
    yield "transaction.count % -1 == 0", {"count": least}, False
    yield "transaction.count / 2 == -3", {"count": -7}, True
    yield "transaction.count % 2 == -1", {"count": -7}, True
    yield "transaction.count % -2 == 1", {"count": 7}, True
    yield "1 / transaction.count == 0", {"count": 0}, False
    yield "transaction.trusted || 1 / transaction.count == 0", {"count": 0}, True
    yield "1 / transaction.count == 0 || transaction.trusted", {"count": 0}, True
    yield "1 / transaction.count == 0 && transaction.trusted", {"count": 0}, False
    yield "!(1 / transaction.count == 0 && transaction.abroad)", {"count": 0}, True
    yield "transaction.amount / transaction.fee > 1.0", {"fee": 0.0}, True
    yield "1.0 / transaction.fee < 0.0", {"fee": -0.0}, True
    yield "!(transaction.fee / transaction.fee == transaction.fee / 0.0)", {}, True
    yield "transaction.note == ''", {}, True
    yield "has(transaction.note)", {"note": ""}, True
    yield "has(transaction.retries)", {}, False
    yield "transaction.source.size() == 1", {"source": "😀"}, True
    yield "transaction.source < '😀'", {"source": "\uffee"}, True
    yield "transaction.source == 'é'", {"source": "e\u0301"}, False
    yield "transaction.timestamp.getDayOfWeek() == 4", {"timestamp": 0}, True
    yield "transaction.timestamp.getHours() == 23", {"timestamp": -1}, True
    yield "transaction.timestamp.getDayOfWeek() == 3", {"timestamp": -1}, True
    yield "double(transaction.count) == 9007199254740992.0", {"count": 2**53 + 1}, True
    yield "transaction.count in []", {}, False
    yield "transaction.count in [1, 1 / transaction.retries]", {}, False


@pytest.mark.parametrize(("expression", "values", "expected"), list(_corners()))
def test_a_corner_of_cel_is_the_same_generated_and_evaluated(
    compiler: Compiler, expression: str, values: dict[str, object], *, expected: bool
) -> None:
    assert _both(compiler, expression, values) == (expected, expected)


@pytest.mark.parametrize(
    "expression",
    [
        "dyn(transaction.count) + 1 == 2",
        "dyn(transaction.count) + dyn(1) == 2",
        "dyn(transaction.amount) < dyn(1)",
        "-dyn(transaction.count) < 0",
        "size(dyn(transaction.note)) == 0",
    ],
)
def test_a_call_whose_overload_is_known_only_at_run_time_falls_back(
    compiler: Compiler, expression: str
) -> None:
    assert compiler.compile(rule("r", expression)).code is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_outside_the_years_of_utc_does_not_stop_the_batch(
    compiler: Compiler, at: str
) -> None:
    compiled = compiler.compile(rule("r", "transaction.settled.getHours() >= 0 || true"))
    transaction = decode(compiler.schema, {**_USUAL, "settled": at})
    masks = _masks(Ruleset([compiled], compiler.environment), [transaction])
    assert masks in ([0], [1])
