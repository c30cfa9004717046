"""A rule's examples, run through the same evaluator and decoder as the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.expressions import Environment, Expression, evaluate
from services.rules.problems import Problem
from services.transactions import refuse, settle_event_times

if TYPE_CHECKING:
    from services.rules.model import Example, FraudRule

# An example without a timestamp happens at noon UTC on Thursday, 1 January 2026, so that what it
# shows does not depend on when it is run.
EXAMPLE_TIME_MS = 1_767_268_800_000
# Up to the end of the year 9999, which is the end of RFC 3339.
_FUTURE_MS = 253_402_300_799_999 - EXAMPLE_TIME_MS


def run_examples(
    rule: FraudRule, expression: Expression, environment: Environment
) -> tuple[Problem, ...]:
    """Run a rule's examples; a problem for each that fails, none when all hold."""
    checked = ((f"spec.examples[{i}]", example) for i, example in enumerate(rule.spec.examples))
    return tuple(
        problem
        for field, example in checked
        if (problem := _run(field, example, expression, environment))
    )


def _run(
    field: str, example: Example, expression: Expression, environment: Environment
) -> Problem | None:
    transaction = _decode(field, example, environment)
    if isinstance(transaction, Problem):
        return transaction
    answer = evaluate(expression, environment.activation(transaction))
    if isinstance(answer, str):
        return Problem(
            field=field,
            message=f'the rule fails on example "{example.name}": {answer}',
            mend="guard the expression against it; a rule that fails does not match",
        )
    found = "Match" if answer else "NoMatch"
    if found == example.expect:
        return None
    return Problem(
        field=field,
        message=f'example "{example.name}" gives {found}, and {example.expect} was expected',
        mend="mend the expression, or the example if the rule is right",
    )


def _decode(field: str, example: Example, environment: Environment) -> Any | Problem:  # noqa: ANN401 - a schema's own struct
    """Read an example as the stream would read a record."""
    schema = environment.schema
    value = msgspec.json.encode(example.transaction)
    try:
        transaction = schema.decode(value)
        refusals = settle_event_times(schema, [transaction], [EXAMPLE_TIME_MS], _FUTURE_MS)
        refusal = refusals[0][1] if refusals else None
    except Exception as error:  # noqa: BLE001 - whatever decoding raises is a refusal
        refusal = refuse(schema, value, error)
    if refusal is None:
        if getattr(transaction, "id", "") is None:
            transaction.id = "example-0-0"
        return transaction
    return Problem(
        field=f"{field}.transaction",
        message=f'example "{example.name}" is no transaction: {refusal.reason}, {refusal.detail}',
        mend="write it as a producer would",
    )
