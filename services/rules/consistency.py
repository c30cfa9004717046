"""Checks between the fields of a rule, beyond the bounds of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.model import (
    MAX_REASON_CODE_LENGTH,
    MAX_TEXT_LENGTH,
    MAX_WINDOW_SECONDS,
    Spec,
    milliseconds,
)
from services.rules.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.rules.model import Aggregate, FraudRule

DEFAULT_SCORE: int = next(f.default for f in msgspec.structs.fields(Spec) if f.name == "score")

# The resource's schema has the same checks with the same messages, for the API server.
SCORE_OF_ALLOW = (
    "found a score on an Allow, expected none: an Allow adds nothing and takes nothing away, "
    "it wins over every Flag; remove score, or write action: Flag"
)
REASON_CODE_OF_NAME = (
    "found no reasonCode, and a name that makes none: expected a name that begins with a letter "
    f"and has {MAX_REASON_CODE_LENGTH} characters at most; add a reasonCode, as in CARD_TESTING"
)
FIELD_OF_COUNT = (
    "found a field on a Count, expected none: it counts transactions, whatever is in them; "
    "leave it out, or write function: CountDistinct"
)
NO_FIELD = (
    "found none, expected a field: every function but Count is of one; name it, as in of: amount"
)
LONG_WINDOW = "found a window of more than an hour, expected 1h at most; write a shorter one"
# Limit of the earlier transactions of all examples of a rule together.
MAX_GIVEN = 10_000
# Limit of their time span: much longer than any window, and far from the ends of the calendar.
MAX_GIVEN_MS = 24 * 3600 * 1000
NESTED = "found a list or an object, expected a plain value"


def contradictions(rule: FraudRule) -> Iterator[Problem]:
    """Find fields of a rule that contradict each other."""
    if rule.spec.action == "Allow" and rule.spec.score != DEFAULT_SCORE:
        yield Problem(field="spec.score", message=SCORE_OF_ALLOW)
    if not rule.spec.reason_code and not _makes_a_code(rule.name):
        yield Problem(field="spec.reasonCode", message=REASON_CODE_OF_NAME)
    yield from _one_line("metadata.name", rule.name)
    yield from _one_line("spec.reasonCode", rule.reason_code)
    for i, aggregate in enumerate(rule.spec.aggregates):
        yield from _aggregate(f"spec.aggregates[{i}]", aggregate)
    seen: set[str] = set()
    given = 0
    for i, example in enumerate(rule.spec.examples):
        yield from _plain(f"spec.examples[{i}].transaction", example.transaction)
        if sum(b.repeat * milliseconds(b.every) for b in example.given) > MAX_GIVEN_MS:
            yield Problem(
                field=f"spec.examples[{i}].given",
                message="what is given takes more than a day, and no window is so long",
                hint="write a shorter `every`, or a smaller `repeat`",
            )
        for j, before in enumerate(example.given):
            place = f"spec.examples[{i}].given[{j}]"
            yield from _plain(f"{place}.transaction", before.transaction)
            yield from _one_line(f"{place}.every", before.every)
            given += before.repeat
        if example.name in seen:
            yield Problem(
                field=f"spec.examples[{i}].name",
                message=f'there is an example "{example.name}" already',
                hint="give each another name",
            )
        seen.add(example.name)
    if given > MAX_GIVEN:
        yield Problem(
            field="spec.examples",
            message=f"`given` has {given} transactions; the limit is {MAX_GIVEN}",
            hint="show it with fewer",
        )


def _aggregate(place: str, aggregate: Aggregate) -> Iterator[Problem]:
    yield from _one_line(f"{place}.name", aggregate.name)
    yield from _one_line(f"{place}.window", aggregate.window)
    if aggregate.window_ms > MAX_WINDOW_SECONDS * 1000:
        yield Problem(
            field=f"{place}.window", message=LONG_WINDOW, hint="write 1h: no more is kept"
        )
    if aggregate.function == "Count" and aggregate.of:
        yield Problem(field=f"{place}.of", message=FIELD_OF_COUNT)
    if aggregate.function != "Count" and not aggregate.of:
        yield Problem(field=f"{place}.of", message=NO_FIELD)


def _one_line(field: str, text: str) -> Iterator[Problem]:
    """Reject a newline at the end: a pattern's `$` matches before it in Python, but not in Go."""
    if text.endswith("\n"):
        yield Problem(field=field, message="ends in a newline", hint="leave it out")


def _plain(field: str, transaction: dict[str, Any]) -> Iterator[Problem]:
    """Reject nested and very long values: no rule reads them, and they make the resource large."""
    for name, value in transaction.items():
        if isinstance(value, dict | list) and value:
            yield Problem(
                field=f"{field}.{name}", message=NESTED, hint="leave it out: no rule reads it"
            )
        elif isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
            yield Problem(
                field=f"{field}.{name}",
                message=f"has {len(value)} characters, and {MAX_TEXT_LENGTH} is the most",
                hint="shorten it",
            )


def _makes_a_code(name: str) -> bool:
    return name[0].isalpha() and len(name) <= MAX_REASON_CODE_LENGTH
