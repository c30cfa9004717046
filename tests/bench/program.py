"""Conditions of rules: the program over columns against a generated function a rule, ns a record.

    python -m tests.bench.program

Both judge the same decoded batches in alternating rounds; each figure is the median of the rounds,
in CPU time of the thread, with the lowest and the highest. Decoding is not part of either.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.columns import JsonDecoder
from services.engine import Engine
from services.rules import Compiler, Ruleset, check
from services.transactions import load_schema
from tests.bench.recurring import Recurring
from tests.bench.rules import write_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECORDS = 40_000
ROUNDS = 7
START_MS = 1_790_000_000_000


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.program", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    values = [sent.value for sent in Recurring(arguments.records, 1000).make(START_MS)]
    compiler = Compiler(load_schema(None))
    sys.stdout.write(
        "| rules | a batch | generated functions, ns | program, ns | ratio | undecided |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
    )
    for rules in (10, 100):
        ruleset = rules_in_force(compiler, rules)
        for size in (2_000, 200, 20):
            batches = [values[i : i + size] for i in range(0, len(values), size)]
            sys.stdout.write(row(ruleset, batches, arguments.rounds))
            sys.stdout.flush()


def rules_in_force(compiler: Compiler, rules: int) -> Ruleset:
    """So many rules of the benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        reports = check([write_rules(Path(name), rules)], compiler)
    return Ruleset((r.compiled for r in reports if r.compiled), compiler.environment)


def row(ruleset: Ruleset, batches: list[list[bytes]], rounds: int) -> str:
    """One row of the table."""
    decoder, engine = JsonDecoder(ruleset.schema), Engine(ruleset)
    columns = [decoder.decode(batch) for batch in batches]
    structs = [[ruleset.schema.decode(value) for value in batch] for batch in batches]
    asked = 0

    def transaction(_: int) -> Any:
        nonlocal asked
        asked += 1

    def generated(batch: Sequence[Any]) -> None:
        for i in range(len(ruleset.conditions.all)):
            ruleset.conditions.truths(i, batch)

    one_by_one, program = [], []
    for _ in range(rounds):
        one_by_one.append(ns_a_record(generated, structs))
        program.append(ns_a_record(lambda batch: engine.masks(batch, (), transaction), columns))
    ratio = statistics.median(program) / statistics.median(one_by_one)
    share = asked / rounds / sum(map(len, batches))
    return (
        f"| {len(ruleset.live)} | {len(batches[0])} | {_figure(one_by_one)} | {_figure(program)} "
        f"| {ratio:.2f} | {share:.1%} |\n"
    )


def ns_a_record(judge: Callable[[Any], object], batches: Sequence[Any]) -> float:
    """CPU time of this thread."""
    began = time.thread_time_ns()
    for batch in batches:
        judge(batch)
    return (time.thread_time_ns() - began) / sum(map(len, batches))


def _figure(rounds: list[float]) -> str:
    return f"{statistics.median(rounds):.0f} ({min(rounds):.0f} to {max(rounds):.0f})"


if __name__ == "__main__":
    main()
