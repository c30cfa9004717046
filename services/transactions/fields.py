"""One field of the transaction: its bounds, as a type for the decoder and as text for people."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.transactions.currencies import DECIMALS

FieldType = Literal["string", "double", "int", "bool", "timestamp", "currency"]

_INT64 = 2**63
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
# From the year 1 to the last millisecond of the year 9999, the ends of RFC 3339.
EARLIEST_MS = -62_135_596_800_000
LATEST_MS = 253_402_300_799_999


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """One field of the transaction, and its bounds."""

    name: str
    type: FieldType
    required: bool = False
    description: str = ""
    # Of a double that is money: the field with its currency.
    currency: str | None = None
    min_length: Annotated[int, Meta(ge=0)] | None = None
    max_length: Annotated[int, Meta(ge=1)] | None = None
    enum: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    minimum: float | int | str | None = None
    maximum: float | int | None = None
    exclusive_minimum: float | int | None = None
    exclusive_maximum: float | int | None = None


def decoded_type(field: Field) -> Any:  # noqa: ANN401 - a type
    """Return the type that msgspec decodes a field as. All checks are done in C."""
    match field.type:
        case "string" if field.enum:
            return Literal[field.enum]
        case "string":
            return Annotated[str, Meta(min_length=field.min_length, max_length=field.max_length)]
        case "currency":
            # A look-up: a pattern would cost more than all other checks.
            return Literal[tuple(DECIMALS)]
        case "bool":
            return bool
        case "double":
            return Annotated[float, _meta(double_bounds(field))]
        case "int":
            return Annotated[int, _meta(int64_bounds(field))]
        case "timestamp":
            aware = Annotated[datetime, Meta(tz=True)]
            return Annotated[int, Meta(ge=earliest_ms(field), le=LATEST_MS)] | aware


def _meta(bounds: dict[str, Any]) -> Meta:
    return Meta(**bounds)


def double_bounds(field: Field) -> dict[str, float]:
    """The bounds of a double, by msgspec's names for them."""
    bounds = {
        "ge": field.minimum,
        "le": field.maximum,
        "gt": field.exclusive_minimum,
        "lt": field.exclusive_maximum,
    }
    return {name: float(_number(bound)) for name, bound in bounds.items() if bound is not None}


def int64_bounds(field: Field) -> dict[str, int]:
    """Return the whole numbers between the bounds, within the range of CEL's int."""
    lows = [math.ceil(b) for b in numbers(field.minimum)]
    lows += [math.floor(b) + 1 for b in numbers(field.exclusive_minimum)]
    highs = [math.floor(b) for b in numbers(field.maximum)]
    highs += [math.ceil(b) - 1 for b in numbers(field.exclusive_maximum)]
    low, high = max([*lows, -_INT64]), min([*highs, _INT64 - 1])
    if any(not -_INT64 <= bound < _INT64 for bound in (*lows, *highs)):
        raise ValueError(f"`{field.name}`: a bound is outside the 64 bits of an int")
    return {"ge": low, "le": high}


def earliest_ms(field: Field) -> int:
    """Return the earliest event time allowed, in epoch milliseconds."""
    if field.minimum is None:
        return 0 if field.name == "timestamp" else EARLIEST_MS
    earliest: float
    if isinstance(field.minimum, str):
        at = datetime.fromisoformat(field.minimum)
        if at.tzinfo is None:
            raise ValueError(f"`{field.name}`: minimum has no offset; add Z")
        earliest = milliseconds(at)
    else:
        earliest = _number(field.minimum)
    if not EARLIEST_MS <= earliest <= LATEST_MS:
        raise ValueError(f"`{field.name}`: minimum is not between the years 1 and 9999")
    return math.ceil(earliest)


def numbers(*bounds: float | str | None) -> list[float]:
    """Return the bounds that are not None.

    Raises:
        ValueError: One is a text or NaN.

    """
    return [_number(bound) for bound in bounds if bound is not None]


def _number(bound: float | str) -> float:
    if isinstance(bound, str) or math.isnan(bound):
        raise ValueError(f"the bound {bound!r} is no number")
    return bound


def milliseconds(at: datetime) -> int:
    """Convert an aware time to epoch milliseconds, rounded down; exact, unlike timestamp()."""
    return (at - _EPOCH) // _MILLISECOND


def microseconds(at: datetime) -> int:
    """Epoch microseconds of an aware time, which has no finer ones."""
    return (at - _EPOCH) // _MICROSECOND


def expectation(field: Field) -> str:
    """Describe the valid values of a field, for people."""
    match field.type:
        case "string" if field.enum:
            return f"one of {', '.join(field.enum)}"
        case "string":
            return "a text" + _lengths(field)
        case "currency":
            return "an ISO 4217 code in capitals, as in USD"
        case "bool":
            return "true or false"
        case "int":
            return "a whole number" + _signs(int64_bounds(field))
        case "double":
            return "a number" + _signs(double_bounds(field))
        case "timestamp":
            earliest = (_EPOCH + earliest_ms(field) * _MILLISECOND).date()
            return f"RFC 3339 with an offset, or epoch milliseconds, from {earliest} on"


def _lengths(field: Field) -> str:
    least, most = field.min_length or 0, field.max_length
    if most is None:
        return f" of {least} characters or more" if least else ""
    return f" of {least} to {most} characters" if least != most else f" of {most} characters"


def _signs(bounds: dict[str, Any]) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    told = [f"{sign} {bounds[name]}" for name, sign in signs.items() if name in bounds]
    return f" {' and '.join(told)}" if told else ""
