"""The rules of k8s/rules with windows catch the bursts of the generator, and next to nothing else.

No Kafka is in this: transactions go through windows and rules as in a detector of one partition.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from services.columns import JsonDecoder, set_event_times
from services.engine import Engine
from services.generator.accounts import Accounts, Kind
from services.rules import Compiler, Ruleset, check
from services.rules.numbering import Rows
from services.rules.partition_windows import PartitionWindows
from services.transactions import load_schema, settle_event_times

RULES = Path("k8s/rules")
BEGIN_MS = 1_790_000_000_000
LATE_MS = 300_000
# Accounts pay seven times an hour on average, some up to 400 times. The hour before is there to
# fill the windows.
ACCOUNTS, PER_SECOND = 50_000, 100
HOUR, SECONDS = 3600, 1800


class Found(NamedTuple):
    """Accounts by rule that matched, and by kind of burst that began and ended in the time."""

    matched: dict[str, set[str]]
    bursts: dict[Kind, set[str]]
    ever: set[str]


@cache
def found() -> Found:
    compiler = Compiler(load_schema(None))
    rules = [report.compiled for report in check([RULES], compiler) if report.compiled]
    ruleset = Ruleset(rules, compiler.environment)
    windows = PartitionWindows(ruleset.windows, LATE_MS)
    engine, decoder = Engine(ruleset), JsonDecoder(compiler.schema)
    profile = Accounts(1, ACCOUNTS, PER_SECOND)
    matched: dict[str, set[str]] = defaultdict(set)
    bursts: dict[Kind, set[str]] = defaultdict(set)
    before, under_way = set[str](), set[str]()
    for second in range(HOUR + SECONDS):
        now_ms = BEGIN_MS + 1000 * second
        records = profile.records(PER_SECOND, now_ms)
        batch = decoder.decode([value for _, value in records])
        times = np.full(len(records), now_ms)
        set_event_times(compiler.schema, batch, times)
        transactions = [compiler.schema.decode(value) for _, value in records]
        settle_event_times(compiler.schema, transactions, [now_ms] * len(records), LATE_MS)
        values = windows.process(
            Rows(batch), times, engine.counted(batch, transactions.__getitem__)
        )
        now = profile.bursts()
        under_way = {burst.source.decode() for burst in now}
        if second < HOUR:
            before |= under_way
            continue
        for burst in now:
            bursts[burst.kind].add(burst.source.decode())
        masks = engine.masks(batch, values, transactions.__getitem__)
        for row, mask in masks.items():
            for rule in ruleset.decide(mask).matches:
                matched[rule.rule].add(transactions[row].source)
    ever = before.union(*bursts.values())
    return Found(matched, {kind: b - before - under_way for kind, b in bursts.items()}, ever)


@pytest.mark.parametrize(
    ("rule", "kind", "least", "most_false"),
    [("card-testing", "card testing", 0.99, 0), ("draining", "draining", 0.7, 0.1)],
)
def test_a_rule_catches_its_bursts_and_few_other_accounts(
    rule: str, kind: Kind, least: float, most_false: float
) -> None:
    """Draining is told by an amount, so that of a poor account is not seen."""
    bursts, matched = found().bursts[kind], found().matched[rule]
    caught, false = bursts & matched, matched - found().ever
    assert len(bursts) > 40
    assert len(caught) >= least * len(bursts)
    assert len(false) <= most_false * len(caught)
