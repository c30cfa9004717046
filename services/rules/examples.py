"""A rule's examples, run through the same decoder, windows and evaluator as the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.aggregates import plan
from services.rules.conditions import Conditions
from services.rules.expressions import Environment, evaluate
from services.rules.model import milliseconds
from services.rules.problems import Problem
from services.transactions import refuse, settle_event_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.rules.compilation import CompiledRule
    from services.rules.model import Example

# An example without a timestamp happens at noon UTC on Thursday, 1 January 2026, so that what it
# shows does not depend on when it is run.
EXAMPLE_TIME_MS = 1_767_268_800_000
# Up to the end of the year 9999, which is the end of RFC 3339.
_FUTURE_MS = 253_402_300_799_999 - EXAMPLE_TIME_MS
# What is given may come in any order.
_LATE_MS = 1 << 50


def run_examples(rule: CompiledRule, environment: Environment) -> tuple[Problem, ...]:
    """Run a rule's examples; a problem for each that fails, none when all hold."""
    examples = rule.rule.spec.examples
    checked = ((f"spec.examples[{i}]", example) for i, example in enumerate(examples))
    return tuple(
        problem
        for field, example in checked
        if (problem := _run(field, example, rule, environment))
    )


def _run(
    field: str, example: Example, rule: CompiledRule, environment: Environment
) -> Problem | None:
    sequence = _sequence(field, example, environment)
    if isinstance(sequence, Problem):
        return sequence
    transactions, times_ms = sequence
    values = _aggregates(transactions, times_ms, rule, environment) if rule.values else {}
    answer = evaluate(rule.expression, environment.activation(transactions[-1], values))
    if isinstance(answer, str):
        return Problem(
            field=field,
            message=f'the rule fails on example "{example.name}": {answer}{_told(values)}',
            mend="guard the expression against it; a rule that fails does not match",
        )
    found = "Match" if answer else "NoMatch"
    if found == example.expect:
        return None
    return Problem(
        field=field,
        message=f'example "{example.name}" gives {found}, and {example.expect} was expected'
        + _told(values),
        mend="mend the expression, or the example if the rule is right",
    )


def _told(values: dict[str, Any]) -> str:
    told = ", ".join(
        f"{name} is {value if isinstance(value, int | float) else 'without a value'}"
        for name, value in values.items()
    )
    return f" ({told})" if told else ""


def _aggregates(
    transactions: Sequence[Any],
    times_ms: Sequence[int],
    rule: CompiledRule,
    environment: Environment,
) -> dict[str, Any]:
    """Give the values of the rule's aggregates for the last of some transactions, by name."""
    # What compiles the windows takes its time to import, and most rules have none.
    import numpy as np  # noqa: PLC0415

    from services.rules.partition_windows import PartitionWindows  # noqa: PLC0415

    windows = plan(rule.values.values())
    wheres = Conditions(rule.wheres.values(), environment, lambda _where, _error: None)
    masks = wheres.masks(transactions)
    counted = {text: [mask >> i & 1 == 1 for mask in masks] for i, text in enumerate(rule.wheres)}
    columns = PartitionWindows(windows, _LATE_MS).process(
        transactions, np.array(times_ms, np.int64), counted
    )
    places = {value: i for i, value in enumerate(windows.values)}
    return {name: columns[places[value]][-1] for name, value in rule.values.items()}


def _sequence(
    field: str, example: Example, environment: Environment
) -> tuple[list[Any], list[int]] | Problem:
    """Read what is given and the example's transaction, the last, with their times (ms)."""
    last = _decode(f"{field}.transaction", example, example.transaction, environment)
    if isinstance(last, Problem):
        return last
    at = getattr(last, "timestamp", EXAMPLE_TIME_MS)
    found = [(last, at)]
    # From the last backwards, as they are laid out up to the transaction.
    for j, given in reversed(list(enumerate(example.given))):
        every = milliseconds(given.every)
        timed = (
            environment.schema.event_time is not None
            and given.transaction.get("timestamp") is not None
        )
        begin = at - every * given.repeat
        at = at if timed else begin
        for i in reversed(range(given.repeat)):
            place = f"{field}.given[{j}].transaction"
            one = _decode(place, example, given.transaction, environment)
            if isinstance(one, Problem):
                return one
            time_ms = (one.timestamp if timed else begin) + i * every
            if time_ms > EXAMPLE_TIME_MS + _FUTURE_MS:
                return Problem(
                    field=f"{field}.given[{j}]",
                    message=f'example "{example.name}": what is given goes on after the year 9999',
                    mend="give it an earlier timestamp",
                )
            if environment.schema.event_time is not None:
                one.timestamp = time_ms
            found.append((one, time_ms))
    found.reverse()
    for i, (transaction, _) in enumerate(found):
        if getattr(transaction, "id", "") is None:
            transaction.id = f"example-0-{i}"
    return [transaction for transaction, _ in found], [time_ms for _, time_ms in found]


def _decode(
    field: str, example: Example, values: dict[str, Any], environment: Environment
) -> Any | Problem:  # noqa: ANN401 - a schema's own struct
    """Read a transaction as the stream would read a record."""
    schema = environment.schema
    value = msgspec.json.encode(values)
    try:
        transaction = schema.decode(value)
        refusals = settle_event_times(schema, [transaction], [EXAMPLE_TIME_MS], _FUTURE_MS)
        refusal = refusals[0][1] if refusals else None
    except Exception as error:  # noqa: BLE001 - whatever decoding raises is a refusal
        refusal = refuse(schema, value, error)
    if refusal is None:
        return transaction
    return Problem(
        field=field,
        message=f'example "{example.name}" is no transaction: {refusal.reason}, {refusal.detail}',
        mend="write it as a producer would",
    )
