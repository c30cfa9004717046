"""Programs answer what Google's evaluator answers, on random conditions and batches."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from services.engine import Program, Value, building, comparing
from services.programs import CONTAINS, NEVER, Assembly, steps
from services.rules.expressions import evaluate
from services.transactions import Schema, load_schema
from tests.engine.random_batches import NUMBERS, VARIABLES, Batches, Conditions, variant
from tests.rules.expressions import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from services.rules.expressions import Expression
    from tests.engine.random_batches import Batch

SEED = 20_261_201
SCHEMAS = 8
PROGRAMS_EACH = 45
CLAUSES = 10
MOST_ROWS = 140
VALUES = [Value(kind, optional=True) for kind in VARIABLES.values()]


class Outcome(msgspec.Struct):
    """What comparing found."""

    pairs: int = 0
    matches: int = 0
    errors: int = 0
    undecided: int = 0
    clauses: int = 0
    differences: list[str] = []


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    file: Path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    file.write_text(SCHEMA, encoding="utf-8")
    return load_schema(file)


def compare(schema: Schema, chance: random.Random, schemas: int, programs: int) -> Outcome:
    """Judge batches by programs and by the evaluator, up to the first program that differs."""
    outcome = Outcome()
    source = Conditions(chance)
    for _ in range(schemas):
        batches = Batches(variant(schema, chance), schema, chance)
        for _ in range(programs):
            conditions = [batches.condition(source) for _ in range(CLAUSES)]
            parts = [(each.checked, NUMBERS) for each in conditions]
            program = Program(batches.schema, parts, VALUES)
            batch = batches.batch(chance.randint(1, MOST_ROWS))
            _note(outcome, program, conditions, batch)
            if outcome.differences:
                return outcome
    return outcome


def _note(outcome: Outcome, program: Program, conditions: list[Expression], batch: Batch) -> None:
    masks, undecided = program.decide(batch.columns, batch.values)
    outcome.clauses += len(conditions)
    assert set(masks) <= set(batch.activations)
    for i, condition in enumerate(conditions):
        asked = undecided.get(i, [])
        assert set(asked) <= set(batch.activations)
        for row, activation in batch.activations.items():
            answer = evaluate(condition, activation)
            outcome.pairs += 1
            outcome.matches += answer is True
            outcome.errors += isinstance(answer, str)
            true = masks.get(row, 0) >> i & 1 == 1
            outcome.undecided += row in asked
            if true is not (answer is True and row not in asked) or (
                isinstance(answer, str) and row not in asked
            ):
                outcome.differences.append(
                    f"{condition.text}\n on {batch.columns.row(row)}, "
                    f"{[column.value(row) for column in batch.values]}\n"
                    f" program: {true}, evaluator: {answer}"
                )


def test_programs_equal_the_evaluator_on_random_conditions(
    schema: Schema, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = compare(schema, random.Random(SEED), SCHEMAS, PROGRAMS_EACH)
    with capsys.disabled():
        print(  # noqa: T201 - the size of the proof is part of it
            f"\n{outcome.pairs} pairs of {outcome.clauses} conditions: "
            f"{outcome.undecided / outcome.pairs:.1%} of the pairs fell back "
            f"({outcome.errors / outcome.pairs:.1%} are errors), "
            f"{outcome.matches / outcome.pairs:.0%} match, {len(outcome.differences)} differ"
        )
    assert outcome.differences[:3] == []
    assert outcome.pairs >= 200_000


def test_random_conditions_match_fail_and_fall_back_often_enough_to_prove_something(
    schema: Schema,
) -> None:
    outcome = compare(schema, random.Random(SEED), 1, 30)
    counts = (outcome.matches, outcome.errors, outcome.undecided)
    assert all(0.02 < count / outcome.pairs < 0.6 for count in counts), counts


@pytest.mark.parametrize(
    ("table", "key", "wrong"),
    [
        (building._INT_ARITHMETIC, "modulo_int64", steps.INT_DIVIDE),
        (building._DOUBLE_ARITHMETIC, "divide_double", steps.MULTIPLY),
        (building._TEXT_TESTS, "starts_with_string", CONTAINS),
        (building._CLOCK, "timestamp_to_day_of_week", (86_400_000_000, 3, 7)),
        (comparing._DOUBLES, "<", (steps.LESS_EQUAL, steps.UP_TO, steps.FROM)),
        (comparing._INTS, "<=", (steps.INT_LESS, steps.INT_BELOW, steps.INT_ABOVE)),
    ],
)
def test_a_wrong_step_is_noticed(
    schema: Schema, monkeypatch: pytest.MonkeyPatch, table: dict[str, Any], key: str, wrong: object
) -> None:
    monkeypatch.setitem(table, key, wrong)
    assert compare(schema, random.Random(SEED), 1, 400).differences


def test_a_failure_that_is_not_noticed_is_noticed_here(
    schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Assembly, "any_of", lambda *_: NEVER)
    assert compare(schema, random.Random(SEED), 1, 400).differences
