"""The reason why a record is not a valid transaction: a code for machines, a detail for people.

This is the slow path, after the decoder has rejected a value. The detail never has more
than a short part of the input, and no control characters.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from services.transactions.fields import Field, expectation

if TYPE_CHECKING:
    from services.transactions.schema import Schema

_MAX_DETAIL = 200
_MAX_GLIMPSE = 60
_AT_PATH = re.compile(r" - at `\$\.([^`.\[]*)[^`]*`$")
_MISSING = re.compile(r"Object missing required field `([^`]*)`$")
# The years 2000 to 2100 in seconds: an integer between them is a time in some unit.
_LIKELY_SECONDS = range(946_684_800, 4_102_444_800)
_UNITS = (("seconds", 1), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))


class Reason(StrEnum):
    """Codes of dead letters. A published code keeps its meaning for good."""

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
    TIMESTAMP_TOO_LATE = "timestamp_too_late"
    OUTPUT_REFUSED = "output_refused"
    UNREADABLE_HEADERS = "unreadable_headers"
    UNREADABLE_BATCH = "unreadable_batch"


class Rejection(NamedTuple):
    """The reason and the detail of a dead letter."""

    reason: Reason
    detail: str


# The first bytes of values of other formats.
_SIGNATURES = (
    (b"\xef\xbb\xbf", Reason.BYTE_ORDER_MARK, "a UTF-8 byte order mark; leave it out"),
    (b"\xff\xfe", Reason.INVALID_UTF8, "a mark of UTF-16 or UTF-32; JSON is UTF-8"),
    (b"\xfe\xff", Reason.INVALID_UTF8, "a mark of UTF-16; JSON is UTF-8"),
    (b"\0\0\xfe\xff", Reason.INVALID_UTF8, "a mark of UTF-32; JSON is UTF-8"),
    (b"\0", Reason.MALFORMED_JSON, "a NUL, as a schema registry's formats do; expected JSON"),
    (b"{\0", Reason.MALFORMED_JSON, "a NUL in the second place, as UTF-16 does; JSON is UTF-8"),
    (b"\x1f\x8b", Reason.MALFORMED_JSON, "gzip's mark; let the producer compress instead"),
)


def reject(schema: Schema, value: bytes | None, error: Exception) -> Rejection:
    """Determine why the decoder rejected a value.

    Args:
        schema: Schema of the decoder.
        value: The record's value, None for a tombstone.
        error: Exception that `schema.decode(value)` raised.

    Raises:
        MemoryError: The error was a MemoryError. It is not about the value, and a valid
            transaction must not become a dead letter for lack of memory.

    """
    if isinstance(error, MemoryError):
        raise error
    if value is None:
        return Rejection(Reason.TOMBSTONE, "the record has no value")
    if not value.strip():
        return Rejection(Reason.EMPTY, f"{len(value)} bytes, and nothing in them")
    for mark, reason, detail in _SIGNATURES:
        if value.startswith(mark):
            return Rejection(reason, f"begins with {detail}")
    if isinstance(error, msgspec.ValidationError):
        return _invalid(schema, value, str(error))
    return _unreadable(error)


def printable(text: str, most: int = _MAX_DETAIL) -> str:
    """Shorten a text, and replace characters that would disturb a terminal or a log."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)


def _unreadable(error: Exception) -> Rejection:
    if isinstance(error, UnicodeDecodeError):
        return Rejection(Reason.INVALID_UTF8, f"byte {error.start} of a text or name is not UTF-8")
    if isinstance(error, RecursionError):
        return Rejection(Reason.TOO_DEEP, "nested too deep")
    return Rejection(Reason.MALFORMED_JSON, printable(str(error)))


def _invalid(schema: Schema, value: bytes, error: str) -> Rejection:
    """Classify a msgspec.ValidationError; its texts are those of msgspec 0.22.

    The decoder stops at the first error, and may have been misled by
    the text after it (0x1F reads as 0 up to the x), so the syntax is checked first.
    """
    if error.startswith("Expected `object`"):
        return Rejection(Reason.NOT_AN_OBJECT, error)
    try:
        raw = schema.decode_raw(value)
    except (ValueError, RecursionError) as malformed:
        return _unreadable(malformed)
    if missing := _MISSING.match(error):
        return Rejection(Reason.MISSING_FIELD, f"`{missing[1]}` is missing, and required")
    return _wrong(schema, raw, error)


def _wrong(schema: Schema, raw: msgspec.Struct, error: str) -> Rejection:
    """Find the field that is wrong; of a duplicate key, the last value is shown."""
    at = _AT_PATH.search(error)
    name = at[1] if at else ""
    field = next((f for f in schema.fields if f.name == name), None)
    if field is None:  # an unknown text of msgspec
        return Rejection(Reason.WRONG_TYPE, printable(error))
    found = bytes(getattr(raw, name))
    reason = _reason(field, _AT_PATH.sub("", error))
    detail = f"{name}: found {_glimpse(field, found)}, expected {expectation(field)}"
    if field.type == "timestamp":
        detail += _unit(found)
    return Rejection(reason, printable(detail))


def _reason(field: Field, message: str) -> Reason:
    if message.endswith("got `null`"):
        return Reason.NULL_FIELD
    if field.type == "timestamp":
        return Reason.TIMESTAMP_TOO_OLD if ">=" in message else Reason.INVALID_TIMESTAMP
    if message.startswith("Invalid enum value"):
        return Reason.UNKNOWN_CURRENCY if field.type == "currency" else Reason.NOT_ALLOWED
    if "of length" in message:
        return Reason.WRONG_LENGTH
    if message.endswith("out of range") or re.match(r"Expected `\w+` [<>]", message):
        return Reason.OUT_OF_RANGE
    return Reason.WRONG_TYPE


def _glimpse(field: Field, found: bytes) -> str:
    text = found[: 4 * _MAX_GLIMPSE].decode("utf-8", "replace")
    if field.type == "currency":  # ASCII makes look-alike letters visible
        text = text.encode("ascii", "backslashreplace").decode()
    return printable(text, _MAX_GLIMPSE)


def _unit(found: bytes) -> str:
    """Name the unit that an integer seems to be in, if it is not milliseconds."""
    if not re.fullmatch(rb"[1-9][0-9]{8,18}", found):
        return ""
    units = (unit for unit, parts in _UNITS if int(found) // parts in _LIKELY_SECONDS)
    return "".join(f"; it looks like {unit}" for unit in units)
