"""An aggregate without a value is counted apart from errors, which an alert is about."""

from __future__ import annotations

from services.detector.__main__ import _count_error
from services.rules import Ruleset
from services.rules.expressions import NOTHING
from services.telemetry import metrics
from tests.support.rules import COMPILER, payment, rule

LOW = {"name": "low", "function": "Min", "of": "amount", "groupBy": "source", "window": "1h"}


def counted(name: str) -> tuple[float, float]:
    """The evaluations of a rule without a value, and those that failed."""
    missing = metrics.RULE_VALUES_MISSING.labels(name)._value.get()
    failed = sum(
        sample.value
        for family in metrics.RULE_ERRORS.collect()
        for sample in family.samples
        if sample.labels.get("rule") == name and sample.name.endswith("_total")
    )
    return missing, failed


def judge(name: str, expression: str, value: object) -> None:
    """Judge one transaction with an aggregate's value."""
    compiled = COMPILER.compile(rule(name, expression, aggregates=[LOW]))
    ruleset = Ruleset([compiled], COMPILER.environment, on_error=_count_error)
    assert ruleset.conditions.truths(0, [payment()], [[value]]) == [False]


def test_a_missing_value_is_not_an_error() -> None:
    judge("no-value", "low < 2.0", NOTHING)
    assert counted("no-value") == (1, 0)


def test_an_error_is_not_a_missing_value() -> None:
    judge("an-error", "low < 2.0 && 1 / (size(transaction.source) - 5) > 0", 1.0)
    assert counted("an-error") == (0, 1)
