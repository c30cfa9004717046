"""What must fit together within a rule, beyond what each field takes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.model import MAX_REASON_CODE_LENGTH, MAX_TEXT_LENGTH, Spec
from services.rules.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.rules.model import FraudRule

DEFAULT_SCORE: int = next(f.default for f in msgspec.structs.fields(Spec) if f.name == "score")

# In the resource's schema the API server says the same; these are its words too.
SCORE_OF_ALLOW = (
    "found a score on an Allow, expected none: an Allow adds nothing and takes nothing away, "
    "it wins over every Flag; remove score, or write action: Flag"
)
REASON_CODE_OF_NAME = (
    "found no reasonCode, and a name that makes none: expected a name that begins with a letter "
    f"and has {MAX_REASON_CODE_LENGTH} characters at most; add a reasonCode, as in CARD_TESTING"
)
NESTED = "found a list or an object, expected a plain value"


def contradictions(rule: FraudRule) -> Iterator[Problem]:
    """Say what in a rule does not fit together."""
    if rule.spec.action == "Allow" and rule.spec.score != DEFAULT_SCORE:
        yield Problem(field="spec.score", message=SCORE_OF_ALLOW)
    if not rule.spec.reason_code and not _makes_a_code(rule.name):
        yield Problem(field="spec.reasonCode", message=REASON_CODE_OF_NAME)
    for field, text in (("metadata.name", rule.name), ("spec.reasonCode", rule.reason_code)):
        if text.endswith("\n"):  # to Python a pattern's `$` is also before a last newline
            yield Problem(field=field, message="ends in a newline", mend="leave it out")
    seen: set[str] = set()
    for i, example in enumerate(rule.spec.examples):
        yield from _plain(f"spec.examples[{i}].transaction", example.transaction)
        if example.name in seen:
            yield Problem(
                field=f"spec.examples[{i}].name",
                message=f'there is an example "{example.name}" already',
                mend="give each a name of its own",
            )
        seen.add(example.name)


def _plain(field: str, transaction: dict[str, Any]) -> Iterator[Problem]:
    """A rule reads plain values; something nested, or very long, only makes the resource large."""
    for name, value in transaction.items():
        if isinstance(value, dict | list) and value:
            yield Problem(
                field=f"{field}.{name}", message=NESTED, mend="leave it out: no rule reads it"
            )
        elif isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
            yield Problem(
                field=f"{field}.{name}",
                message=f"has {len(value)} characters, and {MAX_TEXT_LENGTH} is the most",
                mend="shorten it",
            )


def _makes_a_code(name: str) -> bool:
    return name[0].isalpha() and len(name) <= MAX_REASON_CODE_LENGTH
