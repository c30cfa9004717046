"""A rule's examples, run through the same decoder, windows and evaluator as the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.aggregates import plan
from services.rules.conditions import Conditions
from services.rules.expressions import NO_VALUE, NOTHING, Environment, evaluate
from services.rules.hints import near
from services.rules.model import milliseconds
from services.rules.problems import Problem
from services.transactions import Reason, reject, settle_event_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.rules.compilation import CompiledRule
    from services.rules.model import Example
    from services.transactions import Rejection

# An example without a timestamp happens at noon UTC on Thursday, 1 January 2026, so its result
# does not depend on the time of the run.
EXAMPLE_TIME_MS = 1_767_268_800_000
# The end of the year 9999, which is the last time that RFC 3339 can express.
_FUTURE_MS = 253_402_300_799_999 - EXAMPLE_TIME_MS
# A name at least this similar counts as misspelt (difflib's ratio): `cuntry` has 0.92.
_NEARLY = 0.75
# The transactions in `given` may be in any order of time.
_LATE_MS = 1 << 50


def run_examples(rule: CompiledRule, environment: Environment) -> tuple[Problem, ...]:
    """Run a rule's examples; return a problem for each one that fails."""
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
    if isinstance(answer, str) and not (NO_VALUE in answer and example.expect == "NoMatch"):
        return Problem(
            field=field,
            message=f'the rule fails on example "{example.name}": {answer}{_told(values)}',
            hint="guard the expression against it; a rule that fails does not match",
        )
    found = "Match" if answer is True else "NoMatch"
    if found == example.expect:
        return None
    return Problem(
        field=field,
        message=f'example "{example.name}" gives {found}, and {example.expect} was expected'
        + _told(values),
        hint="correct the expression, or the example if the rule is right",
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
    """Return the values of the rule's aggregates for the last of some transactions, by name."""
    # This import compiles the windows, which takes time, and most rules have no aggregates.
    import numpy as np  # noqa: PLC0415

    from services.columns import JsonDecoder  # noqa: PLC0415
    from services.rules.numbering import Rows  # noqa: PLC0415
    from services.rules.partition_windows import PartitionWindows  # noqa: PLC0415

    windows = plan(rule.values.values())
    columns = JsonDecoder(environment.schema).decode(list(map(msgspec.json.encode, transactions)))
    wheres = Conditions(rule.wheres.values(), environment, lambda _where, _error: None)
    counted = {text: np.array(wheres.truths(i, transactions)) for i, text in enumerate(rule.wheres)}
    found = PartitionWindows(windows, _LATE_MS).process(
        Rows(columns), np.array(times_ms, np.int64), counted
    )
    last = len(transactions) - 1
    values = dict(zip(windows.values, (column.value(last) for column in found), strict=True))
    return {
        name: NOTHING if values[value] is None else values[value]
        for name, value in rule.values.items()
    }


def _sequence(
    field: str, example: Example, environment: Environment
) -> tuple[list[Any], list[int]] | Problem:
    """Return the given transactions and then the example's own, with their times (ms)."""
    last = _decode(f"{field}.transaction", example, example.transaction, environment)
    if isinstance(last, Problem):
        return last
    at = getattr(last, "timestamp", EXAMPLE_TIME_MS)
    found = [(last, at)]
    # From the last one backwards, because they are placed before the example's transaction.
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
                    message=f'example "{example.name}": `given` reaches past the year 9999',
                    hint="give it an earlier timestamp",
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
    """Decode a transaction as the stream decodes a record."""
    schema = environment.schema
    if misspelt := _misspelt(field, example, values, [f.name for f in schema.fields]):
        return misspelt
    value = msgspec.json.encode(values)
    try:
        transaction = schema.decode(value)
        rejections = settle_event_times(schema, [transaction], [EXAMPLE_TIME_MS], _FUTURE_MS)
        rejection = rejections[0][1] if rejections else None
    except Exception as error:  # noqa: BLE001 - every error of decoding is a rejection
        rejection = reject(schema, value, error)
    if rejection is None:
        return transaction
    return Problem(
        field=field,
        message=f'example "{example.name}" is no transaction: {rejection.reason}, '
        f"{rejection.detail}",
        hint=_hint(rejection, values),
    )


def _misspelt(
    field: str, example: Example, values: dict[str, Any], known: list[str]
) -> Problem | None:
    """Find a field that no rule reads and that is similar to the name of a missing field."""
    absent = {_folded(name): name for name in known if name not in values}
    for name in values:
        if name in known or any(_extends(_folded(name), field) for field in absent):
            continue
        if meant := near(_folded(name), absent, _NEARLY):
            return Problem(
                field=f"{field}.{name}",
                message=f'example "{example.name}": a transaction has no field `{name}`',
                hint=f"did you mean `{absent[meant]}`? If not, leave it out: no rule reads it",
            )
    return None


def _extends(name: str, field: str) -> bool:
    """Detect a field of other producers: a name of ours with one more word, as `deviceId`."""
    return field in name and len(name) > len(field) + 1


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _hint(rejection: Rejection, values: dict[str, Any]) -> str:
    """Hint for an invalid transaction of an example; YAML reads some texts as numbers or truths."""
    field = rejection.detail.split(":", 1)[0]
    found = values.get(field)
    if rejection.reason == Reason.WRONG_TYPE and "expected a number" not in rejection.detail:
        if isinstance(found, bool):
            words = "YES, on and y" if found else "NO, off and n"
            return f'put it in quotes, as in {field}: "NO"; to YAML {words} are a truth, not text'
        if isinstance(found, int | float):
            return "put it in quotes: to YAML it is a number"
    return "write it as a producer would"
