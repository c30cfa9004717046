"""Messages for fields of a FraudRule with invalid values: found, expected, hint."""

from __future__ import annotations

import re
from typing import Any, get_args

from services.rules.hints import near
from services.rules.model import MAX_WINDOW_SECONDS, Action, Function, Mode, Severity
from services.rules.problems import Problem

_MAX_SHOWN = 60
_CHOICES: dict[str, tuple[str, ...]] = {
    "spec.mode": get_args(Mode),
    "spec.action": get_args(Action),
    "spec.severity": get_args(Severity),
    "spec.aggregates[].function": get_args(Function),
    "spec.examples[].expect": ("Match", "NoMatch"),
}
_DURATIONS = {"spec.aggregates[].window", "spec.examples[].given[].every"}
_MAX_DIGITS = 4
# Other ways to write durations: a number with a unit in words, or without a unit.
_AMOUNT = re.compile(r"\s*(\d+)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
}
_DAYS = ("d", "day", "days", "w", "week", "weeks")
# msgspec's words for a length, and those of our messages.
_LENGTH = re.compile(r"Expected `(\w+)` of length (<=|>=) (\d+)$")
_COUNTED = {"str": "characters", "array": "entries", "object": "fields"}
_MIDDLE = (
    "the values of a window are not kept in order: use Avg, or a Count with "
    "`where: transaction.amount > 100.0`"
)
_FUNCTIONS = {
    **dict.fromkeys(("median", "percentile", "quantile", "p50", "p90", "p95", "p99"), _MIDDLE),
    **dict.fromkeys(("mean", "average"), "write Avg"),
    **dict.fromkeys(("stddev", "stdev", "variance"), "compare with Avg, Min or Max instead"),
    **dict.fromkeys(("first", "last"), "count what came before with Count and a `where`"),
    **dict.fromkeys(("unique", "distinct", "countunique", "count_distinct"), "write CountDistinct"),
    **dict.fromkeys(("total", "add"), "write Sum"),
}


def misfit(path: str, message: str, found: object) -> Problem:
    """Build the problem of a field with an invalid value.

    Args:
        path: Path of the field.
        message: Message of msgspec.
        found: Value of the field.

    """
    hint = ""
    at = shape(path)
    if choices := _CHOICES.get(at, ()):
        message = f"found {_short(found)}, expected one of {', '.join(choices)}"
        hint = _choice(found, choices, at)
    elif at in _DURATIONS and isinstance(found, str | int) and not isinstance(found, bool):
        message, hint = _no_duration(found, at)
    elif length := _LENGTH.match(message):
        message, hint = _length(found, length[1], length[2], int(length[3]))
    elif at == "spec.aggregates[].groupBy" and isinstance(found, list | dict):
        hint = "name one field, as in groupBy: source"
    elif message.startswith("Expected `str`, got"):
        hint = "put the value in quotes" if isinstance(found, int | float) else ""
        if isinstance(found, dict | list) and at in {"spec.expression", "spec.aggregates[].where"}:
            hint = "put the expression in quotes, or after `>-` on the next lines"
    elif isinstance(found, str | int | float):
        message = f"found {_short(found)}; {message[0].lower()}{message[1:]}"
    if "matching regex" in message:
        message, hint = _pattern(at, found, message)
    return Problem(field=path, message=message, hint=hint)


def _choice(found: object, choices: tuple[str, ...], at: str) -> str:
    if not isinstance(found, str):
        return ""
    if at.endswith(".function") and (hint := _FUNCTIONS.get(found.lower())):
        return hint
    meant = near(found.capitalize(), choices)
    return f"write {meant}" if meant else ""


def _length(found: object, kind: str, bound: str, limit: int) -> tuple[str, str]:
    """Describe a length that is too large or too small."""
    unit = _COUNTED[kind]
    if bound == ">=":
        return f"found {_short(found)}, expected {limit} {unit} at least", "write more"
    length = len(found) if isinstance(found, str | list | tuple | dict) else limit + 1
    return f"found {length} {unit}, expected {limit} at most", f"leave some {unit} out"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def shape(path: str) -> str:
    """Return a path without the indices of its entries."""
    return re.sub(r"\[\d+\]", "[]", path)


def _pattern(shape: str, found: object, message: str) -> tuple[str, str]:
    if shape == "metadata.name":
        return "is no Kubernetes name", "use lower-case letters, digits, `-` and `.`"
    if shape == "spec.reasonCode":
        return "is no reason code", "use capital letters, digits and `_`, as in CARD_TESTING"
    if shape == "spec.aggregates[].name":
        return (
            f"found {_short(found)}, expected a small letter and then letters, digits and `_`",
            "choose another name, as in payments_1h",
        )
    return message, ""


def _no_duration(found: str | int, at: str) -> tuple[str, str]:
    """Describe an invalid duration, with a hint if the intended one can be guessed."""
    message = f"found {_short(found)}, expected a whole number and s, m or h, as in 90s"
    match = _AMOUNT.fullmatch(str(found))
    unit = _UNITS.get(match[2].lower()) if match else None
    if match and match[2].lower() in _DAYS:
        if at.endswith(".window"):
            return message, f"a window has {MAX_WINDOW_SECONDS // 3600}h at most: write 1h"
        return message, "write a day as 24h"
    if not match or not unit:
        return message, ""
    amount = match[1].lstrip("0")
    if not amount:
        return message, "1s is the least"
    return message, f"write {amount}{unit}" if len(amount) <= _MAX_DIGITS else ""


def no_text(metadata: dict[str, Any]) -> Problem | None:
    """Find a label or annotation that is no text, which the API server rejects."""
    for kind in ("labels", "annotations"):
        texts = metadata.get(kind)
        for name, found in texts.items() if isinstance(texts, dict) else ():
            if not isinstance(found, str | None):
                field, said = f"metadata.{kind}.{name}", f"found {_short(found)}, expected text"
                return Problem(field=field, message=said, hint="put the value in quotes")
    return None
