"""A record of an output topic as text. Text from strangers is shown, never interpreted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from services.streams.accessors import headers_or_none
from services.transactions import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

_DECISION = "fraud.decision"
_DEAD_LETTER = "dead-letter."


class Match(msgspec.Struct, frozen=True, rename="camel"):
    """A matched rule, with the fields of its explanation that are shown."""

    rule: str
    mode: str
    action: str
    score: int
    reason_code: str
    description: str = ""
    aggregates: dict[str, float | int | None] = {}


class Explanation(msgspec.Struct, frozen=True):
    """The `fraud.decision` header, with the fields that are shown."""

    verdict: str
    score: int
    matches: tuple[Match, ...]


def decision_of(message: Message) -> Explanation | None:
    """Return the explanation of a verdict, None if there is none or it cannot be read.

    The detector appends its header last, so the last one counts: others belong to the record.
    """
    try:
        return msgspec.json.decode(_decision(message), type=Explanation)
    except (ValueError, RecursionError):
        return None


def decision_json(message: Message) -> dict[str, Any] | None:
    """Return the explanation with all of its fields, for machines."""
    if decision_of(message) is None:
        return None
    decoded: dict[str, Any] = msgspec.json.decode(_decision(message))
    return decoded


def _decision(message: Message) -> bytes:
    values = [value for name, value in _headers(message) if name == _DECISION]
    return values[-1] if values else b""


def dead_letter_of(message: Message) -> dict[str, str]:
    """Return headers of a dead letter: the last reason, detail, topic, partition and offset.

    Only for records of the dead-letter topic: elsewhere such headers belong to the record, for
    example because a dead letter was repaired and sent again.
    """
    return {
        name.removeprefix(_DEAD_LETTER): value.decode(errors="replace")
        for name, value in _headers(message)
        if name.startswith(_DEAD_LETTER)
    }


def _headers(message: Message) -> list[tuple[str, bytes]]:
    headers: Any = headers_or_none(message)
    return [(name, value or b"") for name, value in headers or []]


def clock(message: Message) -> str:
    """Format a record's timestamp as HH:MM:SS in UTC, or in epoch ms if it is not a date."""
    _, ms = message.timestamp()
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


class Payment(NamedTuple):
    """The parts of a transaction that are shown; texts can have any length."""

    money: str
    source: str
    target: str


def payment_of(message: Message) -> Payment | None:
    """Return the payment, or None if the value is not a transaction."""
    try:
        value = json.loads(message.value() or b"")
        amount, currency = value["amount"], value["currency"]
        source, target = str(value["source"]), str(value["target"])
        money = f"{amount:,.2f}" if isinstance(amount, int | float) else str(amount)
        return Payment(f"{money} {currency}", source, target)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def transaction_words(message: Message) -> str:
    """Format the payment on one line: amount, currency, source, target."""
    payment = payment_of(message)
    if payment is None:
        return printable((message.value() or b"").decode(errors="replace"))
    return printable(f"{payment.money}  {payment.source} → {payment.target}")


def match_words(match: Match) -> str:
    """Format one match on one line: the code, the rule, its effect, its description."""
    reason = f"{match.reason_code} (rule {match.rule}, {effect_words(match)})"
    if values := aggregate_words(match.aggregates):
        reason += f" [{', '.join(values)}]"
    return printable(f"{reason}: {match.description}" if match.description else reason)


def effect_words(match: Match) -> str:
    """Describe the effect of a match on the verdict."""
    effect = f"+{match.score}" if match.action == "Flag" else "allows"
    return effect if match.mode == "Enforce" else f"{effect}, in shadow: decides nothing"


def aggregate_words(aggregates: Mapping[str, float | None]) -> list[str]:
    """Format the value of each aggregate of a match."""
    return [f"{name} {_number(value)}" for name, value in aggregates.items()]


def _number(value: float | None) -> str:
    if value is None:
        return "without a value"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def record_words(message: Message, *, dead_letter: bool = False) -> list[str]:
    """Format a record of an output topic as lines.

    Args:
        message: Record to format.
        dead_letter: Whether it was read from the dead-letter topic.

    """
    if dead_letter and (dead := dead_letter_of(message)):
        origin = printable(f"{dead.get('topic')}-{dead.get('partition')}-{dead.get('offset')}")
        value = printable((message.value() or b"").decode(errors="replace"))
        why = printable(f"{dead.get('reason')}: {dead.get('detail', '')}")
        return [f"{clock(message)}  {why}", f"          {origin}: {value}"]
    decision = decision_of(message)
    line = f"{clock(message)}  {transaction_words(message)}"
    if decision is None:
        return [line]
    line += f"  {printable(decision.verdict)}, score {decision.score}"
    return [line, *(f"          {match_words(match)}" for match in decision.matches)]
