"""A record of the output topics in words. What a stranger wrote is shown, never interpreted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from services.transactions import printable

if TYPE_CHECKING:
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


def transaction_words(message: Message) -> str:
    """The payment on one line: amount, currency, from whom, to whom."""
    try:
        value = json.loads(message.value() or b"")
        amount, currency = value["amount"], value["currency"]
        source, target = value["source"], value["target"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return printable((message.value() or b"").decode(errors="replace"))
    money = f"{amount:,.2f}" if isinstance(amount, int | float) else str(amount)
    return printable(f"{money} {currency}  {source} → {target}")


def match_words(match: dict[str, Any]) -> str:
    """One match on one line: the code, the rule, what it did, and what it is for."""
    effect = f"+{match['score']}" if match["action"] == "Flag" else "allows"
    if match["mode"] != "Enforce":
        effect += ", in shadow: decides nothing"
    reason = f"{match['reasonCode']} (rule {match['rule']}, {effect})"
    if aggregates := match.get("aggregates"):
        told = ", ".join(f"{name} {_number(value)}" for name, value in aggregates.items())
        reason += f" [{told}]"
    return printable(f"{reason}: {match['description']}" if match["description"] else reason)


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
