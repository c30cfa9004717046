"""Why a record is no transaction: a stable code for machines, a detail for people.

Only the slow path comes here, after the decoder has refused. The detail never
carries more than a glimpse of the input, and no control characters.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from services.transactions.schema import Schema

_MAX_DETAIL = 200
_AT_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Reason(StrEnum):
    """Codes of dead letters. One that is published keeps its meaning for good."""

    TOMBSTONE = "tombstone"
    EMPTY = "empty"
    BYTE_ORDER_MARK = "byte_order_mark"
    INVALID_UTF8 = "invalid_utf8"
    MALFORMED_JSON = "malformed_json"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    NULL_FIELD = "null_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    WRONG_LENGTH = "wrong_length"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_CURRENCY = "unknown_currency"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"


class Refusal(NamedTuple):
    """What a dead letter says of itself."""

    reason: Reason
    detail: str


def refuse(schema: Schema, value: bytes | None, error: Exception) -> Refusal:
    """Say why the decoder refused a value.

    Args:
        schema: whose decoder it was.
        value: the record's value, None for a tombstone.
        error: what `schema.decode(value)` raised.

    """
    if value is None:
        return Refusal(Reason.TOMBSTONE, "the record has no value")
    if not value.strip():
        return Refusal(Reason.EMPTY, f"{len(value)} bytes, and nothing in them")
    if value.startswith(_BOM):
        return Refusal(Reason.BYTE_ORDER_MARK, "begins with a UTF-8 byte order mark; leave it out")
    if value.startswith(_UTF16):
        return Refusal(Reason.INVALID_UTF8, "looks like UTF-16; JSON is UTF-8")
    if isinstance(error, UnicodeDecodeError):
        return Refusal(Reason.INVALID_UTF8, f"byte {error.start} of a text is not UTF-8")
    if isinstance(error, RecursionError):
        return Refusal(Reason.TOO_DEEP, "nested too deep")
    if isinstance(error, msgspec.ValidationError):
        return _invalid(schema, str(error))
    return Refusal(Reason.MALFORMED_JSON, printable(str(error)))


def printable(text: str) -> str:
    """Shorten a text, and replace what would disturb a terminal or a log."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= _MAX_DETAIL else f"{clean[: _MAX_DETAIL - 1]}…"


def _invalid(schema: Schema, error: str) -> Refusal:
    """Classify a msgspec.ValidationError; its texts are those of msgspec 0.22."""
    at = _AT_PATH.search(error)
    name = at[1] if at else ""
    message = _AT_PATH.sub("", error)
    reason = _reason(schema, name, message)
    detail = f"{name}: {message}" if name else message
    if reason is Reason.TIMESTAMP_TOO_OLD:
        detail += "; epoch timestamps are milliseconds, and this may be seconds"
    return Refusal(reason, printable(detail))


def _reason(schema: Schema, name: str, message: str) -> Reason:
    if message.startswith("Expected `object`"):
        return Reason.NOT_AN_OBJECT
    if message.startswith("Object missing required field"):
        return Reason.MISSING_FIELD
    if message.endswith("got `null`"):
        return Reason.NULL_FIELD
    kind = next((field.type for field in schema.fields if field.name == name), "")
    if kind == "timestamp":
        return Reason.TIMESTAMP_TOO_OLD if ">=" in message else Reason.INVALID_TIMESTAMP
    if message.startswith("Invalid enum value"):
        return Reason.UNKNOWN_CURRENCY if kind == "currency" else Reason.NOT_ALLOWED
    if "of length" in message:
        return Reason.WRONG_LENGTH
    if message.endswith("out of range") or re.match(r"Expected `\w+` [<>]", message):
        return Reason.OUT_OF_RANGE
    return Reason.WRONG_TYPE
