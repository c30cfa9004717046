"""A fraud as the page shows it: the payment, and in words why it is one.

Names and texts come from strangers. They are cut, and what cannot be seen or
turns the direction of what follows is written out; the page shows them as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.records.words import aggregate_words, decision_of, effect_words, payment_of

if TYPE_CHECKING:
    from confluent_kafka import Message

# So much of a text is shown, and of the whole of it when it is asked for, in characters.
SHOWN, FULL = 40, 400
# A description may have 1,024.
DESCRIPTION = 300
# So many rules explain a fraud; of the rest it is said how many they are.
MOST_REASONS = 8
_ELLIPSIS = "…"


class Text(msgspec.Struct, frozen=True):
    """A text that is shown, and where that is cut, more of it."""

    shown: str
    full: str = ""


class Reason(msgspec.Struct, frozen=True):
    """A rule that matched: what it is for, what its aggregates came to, and what it did."""

    rule: Text
    description: Text
    told: tuple[Text, ...]
    code: Text
    effect: str


class Fraud(msgspec.Struct, frozen=True):
    """A record of the fraud topic; `at` is when it was written, in seconds of the epoch.

    Without a payment, its value is no transaction. `score` is None, and there
    are no reasons, where it has no explanation that can be read.
    """

    id: str
    at: float
    money: Text
    source: Text
    target: Text
    score: int | None
    reasons: tuple[Reason, ...]
    more_reasons: int = 0


class _Match(msgspec.Struct, frozen=True, rename="camel"):
    """A match in the explanation, as far as it is shown."""

    rule: str
    mode: str
    action: str
    score: int
    reason_code: str
    description: str = ""
    aggregates: dict[str, float | int | None] = {}


class _Explanation(msgspec.Struct, frozen=True):
    score: int
    matches: tuple[_Match, ...]


def fraud_of(message: Message) -> Fraud:
    """Read a record, whatever is in it."""
    payment = payment_of(message)
    explanation = _explanation(message)
    matches = explanation.matches if explanation else ()
    return Fraud(
        id=f"{message.partition()}-{message.offset()}",
        at=message.timestamp()[1] / 1000,
        money=cut(payment.money) if payment else Text("no transaction"),
        source=cut(payment.source) if payment else Text(""),
        target=cut(payment.target) if payment else Text(""),
        score=explanation.score if explanation else None,
        reasons=tuple(_reason(match) for match in matches[:MOST_REASONS]),
        more_reasons=max(0, len(matches) - MOST_REASONS),
    )


def cut(text: str, shown: int = SHOWN) -> Text:
    """Cut a text in its middle, and write out what would not be seen."""
    full = _middle(visible(_middle(text, FULL)), FULL)
    short = _middle(full, shown)
    return Text(short, "" if short == full else full)


def visible(text: str) -> str:
    """Write out, by their number, characters that are not printed or turn the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return text[: most - 1 - end] + _ELLIPSIS + text[-end:]


def _explanation(message: Message) -> _Explanation | None:
    try:
        told = decision_of(message)
        return None if told is None else msgspec.convert(told, _Explanation)
    except (ValueError, RecursionError):
        return None


def _reason(match: _Match) -> Reason:
    plain: dict[str, Any] = msgspec.to_builtins(match)
    return Reason(
        rule=cut(match.rule),
        description=cut(match.description, DESCRIPTION),
        told=tuple(cut(words) for words in aggregate_words(match.aggregates)),
        code=cut(match.reason_code),
        effect=effect_words(plain),
    )
