"""Grammar of JSON (RFC 8259) over bytes, as compiled code.

Each function takes the data and where to begin, and returns the index after
what it read, or `NOT_TAKEN`. The data ends with a zero byte, which JSON has
nowhere, so nothing here runs past it. A value that is not taken need not be
invalid: msgspec decides that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.columns.loads import raw_end
from services.compiled import compiled, inlined, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

    Data = npt.NDArray[Any]

NOT_TAKEN = -1
DEEPEST = 64
"""Levels of nesting that are read: one bit each of a word."""

TAB, NEWLINE, RETURN, SPACE = 9, 10, 13, 32
QUOTE, COMMA, MINUS, PLUS, POINT, COLON = 34, 44, 45, 43, 46, 58
OPEN_BRACKET, BACKSLASH, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE = 91, 92, 93, 123, 125
ZERO, NINE = 48, 57
_LOWER_E, _LOWER_U = 101, 117


@inlined
def blanks(data: Data, at: int) -> int:
    """Skip white space."""
    while data[at] <= SPACE and (
        data[at] == SPACE or data[at] == NEWLINE or data[at] == RETURN or data[at] == TAB
    ):
        at += 1
    return at


@inlined
def literal(data: Data, at: int) -> int:
    """Read true, false or null."""
    first = data[at]
    if first == 110 and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:
        return at + 4
    if first == 116 and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:
        return at + 4
    if (
        first == 102
        and data[at + 1] == 97
        and data[at + 2] == 108
        and data[at + 3] == 115
        and data[at + 4] == 101
    ):
        return at + 5
    return NOT_TAKEN


@inlined
def name(data: Data, at: int) -> int:
    """Read a name without escapes, from after its opening quote; index of the closing one."""
    at = raw_end(data, at)
    return at if data[at] == QUOTE else NOT_TAKEN


@inlined
def _is_hex(byte: int) -> bool:
    return ZERO <= byte <= NINE or 97 <= byte | 32 <= 102


@inlined
def _is_escape(byte: int) -> bool:
    """True for a byte that makes an escape with the backslash before it."""
    return byte in (QUOTE, BACKSLASH, 47, 98, 102, 110, 114, 116)  # and / b f n r t


@compiled
def skip_text(data: Data, at: int) -> int:
    """Skip a text, whose bytes need not be UTF-8; escapes of surrogates are not taken."""
    if data[at] != QUOTE:
        return NOT_TAKEN
    at = raw_end(data, at + 1)
    while data[at] == BACKSLASH:
        kind = data[at + 1]
        if kind == _LOWER_U:
            for i in range(at + 2, at + 6):
                if not _is_hex(data[i]):
                    return NOT_TAKEN
            if data[at + 2] | 32 == 100 and data[at + 3] >= 56:  # \uD800 to \uDFFF
                return NOT_TAKEN
            at += 6
        elif _is_escape(kind):
            at += 2
        else:
            return NOT_TAKEN
        at = raw_end(data, at)
    return at + 1 if data[at] == QUOTE else NOT_TAKEN


@inlined
def _skip_digits(data: Data, at: int) -> int:
    while ZERO <= data[at] <= NINE:
        at += 1
    return at


@compiled
def skip_number(data: Data, at: int) -> int:
    """Skip a number of any size."""
    if data[at] == MINUS:
        at += 1
    begin = at
    at = _skip_digits(data, at)
    if at == begin or (data[begin] == ZERO and at > begin + 1):
        return NOT_TAKEN
    if data[at] == POINT:
        begin = at + 1
        at = _skip_digits(data, begin)
        if at == begin:
            return NOT_TAKEN
    if data[at] | 32 == _LOWER_E:
        at += 1
        if data[at] == PLUS or data[at] == MINUS:
            at += 1
        begin = at
        at = _skip_digits(data, begin)
        if at == begin:
            return NOT_TAKEN
    return at


@inlined
def _skip_name(data: Data, at: int) -> int:
    """Skip a name, its colon, and white space around that."""
    at = skip_text(data, at)
    if at == NOT_TAKEN:
        return NOT_TAKEN
    at = blanks(data, at)
    return blanks(data, at + 1) if data[at] == COLON else NOT_TAKEN


@inlined
def _skip_scalar(data: Data, at: int) -> int:
    first = data[at]
    if first == QUOTE:
        return skip_text(data, at)
    if first == MINUS or ZERO <= first <= NINE:
        return skip_number(data, at)
    return literal(data, at)


@compiled
def skip(data: Data, at: int) -> int:  # noqa: C901, PLR0912 - one loop, where others recurse
    """Skip a value of any kind, nested up to DEEPEST.

    `objects` is a stack of bits, 1 for each open object and 0 for each array.
    """
    depth, objects = 0, unsigned(0)
    while True:
        # Here a value begins.
        first = data[at]
        if first in (OPEN_BRACE, OPEN_BRACKET):
            after = blanks(data, at + 1)
            if data[after] == first + 2:  # the bracket that closes it
                at = after + 1
            elif depth == DEEPEST:
                return NOT_TAKEN
            else:
                objects = (objects << unsigned(1)) | unsigned(first == OPEN_BRACE)
                depth += 1
                at = _skip_name(data, after) if first == OPEN_BRACE else after
                if at == NOT_TAKEN:
                    return NOT_TAKEN
                continue
        else:
            at = _skip_scalar(data, at)
            if at == NOT_TAKEN:
                return NOT_TAKEN
        # Here a value has ended: close what it was the last of.
        while True:
            if depth == 0:
                return at
            at = blanks(data, at)
            inside_object = objects & unsigned(1) != 0
            if data[at] == COMMA:
                at = blanks(data, at + 1)
                if inside_object:
                    at = _skip_name(data, at)
                    if at == NOT_TAKEN:
                        return NOT_TAKEN
                break
            if data[at] != (CLOSE_BRACE if inside_object else CLOSE_BRACKET):
                return NOT_TAKEN
            objects >>= unsigned(1)
            depth -= 1
            at += 1
