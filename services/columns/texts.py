r"""Texts in JSON as compiled code: UTF-8 is checked, and escapes are written out in place.

A text is never longer than it is in JSON. So its characters are written over its
escapes, and the text is still one slice of the data:

    "M\u00fcller"    becomes    "Müller" and four bytes that nobody reads

The record's value itself does not change: the data is a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.columns.loads import plain_end
from services.columns.scanning import BACKSLASH, NINE, NOT_TAKEN, QUOTE, SPACE, ZERO
from services.compiled import compiled, inlined, signed

if TYPE_CHECKING:
    import numpy.typing as npt

    Data = npt.NDArray[Any]

_LOWER_U = 117
_ESCAPED, _MEANT = b'"\\/bfnrt', b'"\\/\b\f\n\r\t'


@compiled
def sequence(data: Data, at: int) -> int:
    """Bytes of the UTF-8 sequence at an index, 0 where it is not valid (RFC 3629, section 4)."""
    first, second = data[at], data[at + 1]
    if first < 0xC2 or first > 0xF4 or second & 0xC0 != 0x80:
        return 0
    if first < 0xE0:
        return 2
    if data[at + 2] & 0xC0 != 0x80:
        return 0
    if first < 0xF0:
        # Not longer than needed, and no half of a surrogate pair.
        if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F):
            return 0
        return 3
    if data[at + 3] & 0xC0 != 0x80:
        return 0
    # Not longer than needed, and not beyond U+10FFFF.
    if (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
        return 0
    return 4


@inlined
def text(data: Data, at: int) -> tuple[int, int, int]:
    """Read a text, from after its opening quote.

    Returns:
        Index of the closing quote or NOT_TAKEN, the bytes that the text has
        from `at` on, and its characters.

    """
    begin, more = at, 0
    at = plain_end(data, at)
    while data[at] >= 0x80:
        size = sequence(data, at)
        if size == 0:
            return NOT_TAKEN, 0, 0
        more += size - 1
        at = plain_end(data, at + size)
    if data[at] == QUOTE:
        return at, at - begin, at - begin - more
    if data[at] == BACKSLASH:
        return _unescape(data, begin, at, more)
    return NOT_TAKEN, 0, 0


@compiled
def _unescape(data: Data, begin: int, at: int, more: int) -> tuple[int, int, int]:
    """Read the rest of a text, from its first escape on.

    `more` is the number of bytes less that of characters so far.
    """
    to = at
    while data[at] != QUOTE:
        if data[at] < SPACE:
            return NOT_TAKEN, 0, 0
        if data[at] != BACKSLASH:
            size = 1 if data[at] < 0x80 else sequence(data, at)
            if size == 0:
                return NOT_TAKEN, 0, 0
            for i in range(size):
                data[to + i] = data[at + i]
            at += size
        elif data[at + 1] == _LOWER_U:
            point, at = _point(data, at)
            if point == NOT_TAKEN:
                return NOT_TAKEN, 0, 0
            size = _write(data, to, point)
        else:
            meant = _meant(data[at + 1])
            if meant == NOT_TAKEN:
                return NOT_TAKEN, 0, 0
            data[to] = meant
            size = 1
            at += 2
        to += size
        more += size - 1
    return at, to - begin, to - begin - more


@inlined
def _meant(byte: int) -> int:
    """Character that a backslash and this byte stand for."""
    for i in range(len(_ESCAPED)):
        if _ESCAPED[i] == byte:
            return signed(_MEANT[i])
    return NOT_TAKEN


@inlined
def _point(data: Data, at: int) -> tuple[int, int]:
    r"""Read the code point that is written `\u00e9` or `\ud83d\ude00`, and the index after it.

    Halves of pairs are not taken, nor is NUL: a zero byte ends a record.
    """
    point = _hexadecimal(data, at + 2)
    at += 6
    if point <= 0 or 0xDC00 <= point < 0xE000:
        return NOT_TAKEN, at
    if not 0xD800 <= point < 0xDC00:
        return point, at
    low = _hexadecimal(data, at + 2)
    if data[at] != BACKSLASH or data[at + 1] != _LOWER_U or not 0xDC00 <= low < 0xE000:
        return NOT_TAKEN, at
    return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00), at + 6


@inlined
def _hexadecimal(data: Data, at: int) -> int:
    """Number of four hexadecimal digits; NOT_TAKEN if one is not a digit."""
    found = 0
    for i in range(at, at + 4):
        byte = signed(data[i])
        if ZERO <= byte <= NINE:
            found = found * 16 + byte - ZERO
        elif 97 <= byte | 32 <= 102:
            found = found * 16 + (byte | 32) - 87
        else:
            return NOT_TAKEN
    return found


@inlined
def _write(data: Data, at: int, point: int) -> int:
    """Write a code point as UTF-8; the number of its bytes."""
    if point < 0x80:
        data[at] = point
        return 1
    if point < 0x800:
        data[at] = 0xC0 | (point >> 6)
        data[at + 1] = 0x80 | (point & 0x3F)
        return 2
    if point < 0x10000:
        data[at] = 0xE0 | (point >> 12)
        data[at + 1] = 0x80 | ((point >> 6) & 0x3F)
        data[at + 2] = 0x80 | (point & 0x3F)
        return 3
    data[at] = 0xF0 | (point >> 18)
    data[at + 1] = 0x80 | ((point >> 12) & 0x3F)
    data[at + 2] = 0x80 | ((point >> 6) & 0x3F)
    data[at + 3] = 0x80 | (point & 0x3F)
    return 4
