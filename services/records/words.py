"""A record of the output topics in words. What a stranger wrote is shown, never interpreted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from services.transactions import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from confluent_kafka import Message

_DECISION = "fraud.decision"
_DEAD_LETTER = "dead-letter."


def decision_of(message: Message) -> dict[str, Any] | None:
    """The explanation in a record's headers, or None. The last one counts: it is ours."""
    values = [value for name, value in _headers(message) if name == _DECISION]
    return json.loads(values[-1]) if values else None


def dead_letter_of(message: Message) -> dict[str, str]:
    """Why a dead letter is one: reason, detail, topic, partition and offset."""
    return {
        name.removeprefix(_DEAD_LETTER): value.decode(errors="replace")
        for name, value in _headers(message)
        if name.startswith(_DEAD_LETTER)
    }


def _headers(message: Message) -> list[tuple[str, bytes]]:
    headers: Any = message.headers()
    return [(name, value or b"") for name, value in headers or []]


def clock(message: Message) -> str:
    """When a record was written, as HH:MM:SS in UTC."""
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC).strftime("%H:%M:%S")


class Payment(NamedTuple):
    """What a transaction is to its reader; texts are as long as who wrote them liked."""

    money: str
    source: str
    target: str


def payment_of(message: Message) -> Payment | None:
    """The payment, or None where the value is none of the kind."""
    try:
        value = json.loads(message.value() or b"")
        amount, currency = value["amount"], value["currency"]
        source, target = value["source"], value["target"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    money = f"{amount:,.2f}" if isinstance(amount, int | float) else str(amount)
    return Payment(f"{money} {currency}", str(source), str(target))


def transaction_words(message: Message) -> str:
    """The payment on one line: amount, currency, from whom, to whom."""
    payment = payment_of(message)
    if payment is None:
        return printable((message.value() or b"").decode(errors="replace"))
    return printable(f"{payment.money}  {payment.source} → {payment.target}")


def match_words(match: dict[str, Any]) -> str:
    """One match on one line: the code, the rule, what it did, and what it is for."""
    reason = f"{match['reasonCode']} (rule {match['rule']}, {effect_words(match)})"
    if told := aggregate_words(match.get("aggregates", {})):
        reason += f" [{', '.join(told)}]"
    return printable(f"{reason}: {match['description']}" if match["description"] else reason)


def effect_words(match: dict[str, Any]) -> str:
    """What a match did to the verdict."""
    effect = f"+{match['score']}" if match["action"] == "Flag" else "allows"
    return effect if match["mode"] == "Enforce" else f"{effect}, in shadow: decides nothing"


def aggregate_words(aggregates: Mapping[str, float | None]) -> list[str]:
    """What each aggregate of a match came to."""
    return [f"{name} {_number(value)}" for name, value in aggregates.items()]


def _number(value: float | None) -> str:
    if value is None:
        return "without a value"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def record_words(message: Message) -> list[str]:
    """A record of any of the output topics, as lines."""
    if dead := dead_letter_of(message):
        origin = f"{dead.get('topic')}-{dead.get('partition')}-{dead.get('offset')}"
        value = printable((message.value() or b"").decode(errors="replace"))
        why = printable(dead.get("detail", ""))
        return [f"{clock(message)}  {dead.get('reason')}: {why}", f"          {origin}: {value}"]
    decision = decision_of(message)
    line = f"{clock(message)}  {transaction_words(message)}"
    if decision is None:
        return [line]
    line += f"  {decision['verdict']}, score {decision['score']}"
    return [line, *(f"          {match_words(match)}" for match in decision["matches"])]
