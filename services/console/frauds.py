"""A fraud as the page shows it: the payment, and the reasons as text.

Names and texts come from strangers. They are shortened, and characters that are invisible or
change the direction of text are escaped; the page inserts them as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.records.words import Match, aggregate_words, decision_of, effect_words, payment_of

if TYPE_CHECKING:
    from confluent_kafka import Message

# Largest number of characters of a text that are shown, and of the tooltip with more of it.
SHOWN, FULL = 40, 400
# A description may have 1,024 characters.
DESCRIPTION = 300
# Up to this many rules explain a fraud; of the others only their number is shown.
MOST_REASONS = 8
# The end of the year 9999. A browser cannot show dates far beyond it.
LAST_DATE_MS = 253_402_300_799_999
_ELLIPSIS = "…"


class Text(msgspec.Struct, frozen=True):
    """A text as it is shown, and more of it if it was shortened."""

    shown: str
    full: str = ""


class Reason(msgspec.Struct, frozen=True):
    """A matched rule: its description, the values of its aggregates, and its effect."""

    rule: Text
    description: Text
    told: tuple[Text, ...]
    code: Text
    effect: str


class Fraud(msgspec.Struct, frozen=True):
    """A record of the fraud topic; `at` is the time it was written, in seconds of the epoch.

    `payment` is None if the value is not a transaction. `score` is None, and there
    are no reasons, if it has no readable explanation.
    """

    id: str
    at: float
    money: Text
    source: Text
    target: Text
    score: int | None
    reasons: tuple[Reason, ...]
    more_reasons: int = 0


def fraud_of(message: Message) -> Fraud:
    """Read a record with any content."""
    payment = payment_of(message)
    explanation = decision_of(message)
    matches = explanation.matches if explanation else ()
    return Fraud(
        id=f"{message.partition()}-{message.offset()}",
        at=min(max(message.timestamp()[1], 0), LAST_DATE_MS) / 1000,
        money=cut(payment.money) if payment else Text("no transaction"),
        source=cut(payment.source) if payment else Text(""),
        target=cut(payment.target) if payment else Text(""),
        score=explanation.score if explanation else None,
        reasons=tuple(_reason(match) for match in matches[:MOST_REASONS]),
        more_reasons=max(0, len(matches) - MOST_REASONS),
    )


def cut(text: str, shown: int = SHOWN) -> Text:
    """Shorten a text in the middle, and escape invisible characters."""
    full = _middle(visible(_middle(text, FULL)), FULL)
    short = _middle(full, shown)
    return Text(short, "" if short == full else full)


def visible(text: str) -> str:
    """Escape characters that are not printable or change the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = (most - 1) // 3
    return text[: most - 1 - end] + _ELLIPSIS + text[-end:]


def _reason(match: Match) -> Reason:
    return Reason(
        rule=cut(match.rule),
        description=cut(match.description, DESCRIPTION),
        told=tuple(cut(words) for words in aggregate_words(match.aggregates)),
        code=cut(match.reason_code),
        effect=effect_words(match),
    )
