"""Programs over columns decide as Google's evaluator does, on random expressions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from services.columns import JsonDecoder
from services.engine import Engine
from services.engine.program import Program
from services.rules import Compiler, RuleError, Ruleset
from services.rules.expressions import evaluate
from services.transactions import load_schema
from tests.rules.expressions import SCHEMA, ExpressionSource, random_transaction
from tests.rules.support import rule

if TYPE_CHECKING:
    from pathlib import Path

    from services.columns import Columns
    from services.rules import CompiledRule

SEED = 20_261_201
POOL = 1000
BATCH = 70
RULES_TOGETHER = 10


class Outcome(msgspec.Struct):
    """What comparing found."""

    pairs: int = 0
    matches: int = 0
    errors: int = 0
    asked: int = 0
    expressions: int = 0
    fell_back: int = 0
    differences: list[str] = []


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


def asked(ruleset: Ruleset, columns: Columns) -> dict[int, list[int]]:
    """The rows of each condition that the program leaves to the evaluator."""
    parts = ((c.expression.checked, c.values) for c in ruleset.conditions.all)
    return Program(ruleset.schema, parts).decide(columns).undecided


def compare(compiler: Compiler, chance: random.Random, expressions: int) -> Outcome:
    """Judge transactions by programs and by the evaluator, and note where the two differ."""
    outcome = Outcome()
    source = ExpressionSource(chance)
    pool = [random_transaction(compiler.schema, chance) for _ in range(POOL)]
    values = [msgspec.json.encode(transaction) for transaction in pool]
    activations = [compiler.environment.activation(transaction, {}) for transaction in pool]
    decoder = JsonDecoder(compiler.schema)
    for _ in range(expressions // RULES_TOGETHER):
        rules = [compiled(compiler, f"r{i}", source) for i in range(RULES_TOGETHER)]
        failed: list[str] = []
        ruleset = Ruleset(
            rules,
            compiler.environment,
            on_error=lambda rule, _: failed.append(rule),  # noqa: B023
        )
        chosen = chance.sample(range(POOL), BATCH)
        columns = decoder.decode([values[i] for i in chosen])
        assert not columns.rejections
        masks = Engine(ruleset).masks(columns, (), lambda row: pool[chosen[row]])  # noqa: B023
        undecided = asked(ruleset, columns)
        outcome.expressions += len(rules)
        outcome.fell_back += sum(len(rows) == BATCH for rows in undecided.values())
        outcome.asked += sum(map(len, undecided.values()))
        errors = 0
        for row, one in enumerate(chosen):
            for i, each in enumerate(rules):
                answer = evaluate(each.expression, activations[one])
                outcome.pairs += 1
                outcome.matches += answer is True
                errors += isinstance(answer, str)
                if bool(masks.get(row, 0) >> i & 1) is not (answer is True):
                    outcome.differences.append(
                        f"{each.expression.text}\n on {pool[one]}\n evaluator: {answer}"
                    )
        outcome.errors += errors
        if errors != len(failed):
            outcome.differences.append(f"{errors} errors, and {len(failed)} counted")
    return outcome


def test_programs_equal_the_evaluator_on_random_expressions(
    compiler: Compiler, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = compare(compiler, random.Random(SEED), 3000)
    with capsys.disabled():
        print(  # noqa: T201 - the size of the proof is part of it
            f"\n{outcome.pairs} pairs of {outcome.expressions} expressions: "
            f"{outcome.fell_back / outcome.expressions:.1%} of the expressions fell back, "
            f"{outcome.asked / outcome.pairs:.1%} of the pairs were asked, "
            f"{outcome.matches / outcome.pairs:.0%} match, "
            f"{outcome.errors / outcome.pairs:.1%} are errors, "
            f"{len(outcome.differences)} differ"
        )
    assert outcome.differences[:3] == []
    assert outcome.pairs >= 200_000
