"""Numbers and times in text, as compiled code: eight digits at a time.

A number of at most 15 digits is exact as an int64, and so is 10^k up to k = 22
as a double. So a double is one exact whole number divided by another, and IEEE
754 rounds that once: the nearest double, as any correct reader has it (W. D.
Clinger, "How to read floating point numbers accurately", 1990).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.columns.loads import load, trailing_zeros
from services.columns.scanning import COLON, MINUS, NINE, NOT_TAKEN, PLUS, POINT, ZERO
from services.compiled import compiled, inlined, signed, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

    Data = npt.NDArray[Any]

MOST_DIGITS = 15
NO_TIME = -(2**63)
_TENS = 10 ** np.arange(17)
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_DAY_SECONDS = 86_400
_T, _Z = 84, 90
_SHORTEST = len("2026-01-31T12:00:00Z")


@inlined
def _digits(word: int) -> int:
    """Number of digits at the start of eight bytes."""
    word ^= unsigned(0x3030303030303030)
    # The high bit of each byte that is above 9.
    others = ((word & unsigned(0x7F7F7F7F7F7F7F7F)) + unsigned(0x7676767676767676)) | word
    others &= unsigned(0x8080808080808080)
    return 8 if others == 0 else trailing_zeros(others) >> 3


@inlined
def _number(word: int, count: int) -> int:
    """Number of the first `count` digits of eight bytes, added up in pairs, fours, then all."""
    if count == 0:
        return 0
    word <<= unsigned(64 - 8 * count)
    word = (word & unsigned(0x0F0F0F0F0F0F0F0F)) * unsigned(2561) >> unsigned(8)
    word = (word & unsigned(0x00FF00FF00FF00FF)) * unsigned(6553601) >> unsigned(16)
    word = (word & unsigned(0x0000FFFF0000FFFF)) * unsigned(42949672960001) >> unsigned(32)
    return signed(word)


@inlined
def _whole(data: Data, at: int) -> tuple[int, int]:
    """Read digits: how many there are, up to 16, and their number."""
    word = load(data, at)
    count = _digits(word)
    found = _number(word, count)
    if count == 8:
        word = load(data, at + 8)
        more = _digits(word)
        found = found * _TENS[more] + _number(word, more)
        count += more
    return count, found


@inlined
def number(data: Data, at: int) -> tuple[int, int, int]:
    """Read a number of at most 15 digits, without an exponent, and not -0.

    Returns:
        The index after it or NOT_TAKEN, its digits as a whole number with the
        sign, and how many of them are behind the point.

    """
    negative = data[at] == MINUS
    if negative:
        at += 1
    count, found = _whole(data, at)
    if count == 0 or count > MOST_DIGITS or (data[at] == ZERO and count > 1):
        return NOT_TAKEN, 0, 0
    at += count
    scale = 0
    if data[at] == POINT:
        scale, fraction = _whole(data, at + 1)
        if scale == 0 or count + scale > MOST_DIGITS:
            return NOT_TAKEN, 0, 0
        found = found * _TENS[scale] + fraction
        at += 1 + scale
    if data[at] | 32 == 101 or (negative and found == 0):
        return NOT_TAKEN, 0, 0
    return at, -found if negative else found, scale


@inlined
def scaled(found: int, scale: int) -> float:
    """The double nearest to `found` / 10^scale."""
    return float(found) / float(_TENS[scale])


@inlined
def _pair(data: Data, at: int) -> int:
    """Number of two digits; far below 0 if one is not a digit."""
    if data[at] >= ZERO and data[at] <= NINE and data[at + 1] >= ZERO and data[at + 1] <= NINE:
        return (signed(data[at]) - ZERO) * 10 + signed(data[at + 1]) - ZERO
    return -1_000_000


@inlined
def _day(data: Data, at: int) -> int:
    """Read a date, `2026-01-31`, as days since 1970-01-01, or NO_TIME.

    Years begin in March in the sum, so that the leap day is the last day of its year.
    """
    year = _pair(data, at) * 100 + _pair(data, at + 2)
    month, day = _pair(data, at + 5), _pair(data, at + 8)
    if data[at + 4] != MINUS or data[at + 7] != MINUS or year < 1:
        return NO_TIME
    if not 1 <= month <= 12:
        return NO_TIME
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS[month] + (1 if leap else 0):
        return NO_TIME
    if month <= 2:
        year -= 1
        month += 12
    years = 365 * year + year // 4 - year // 100 + year // 400
    return years + (153 * month - 457) // 5 + day - 719469


@inlined
def _second(data: Data, at: int) -> int:
    """Read a time of day, `12:00:00`, as seconds, or NO_TIME."""
    hour, minute, second = _pair(data, at), _pair(data, at + 3), _pair(data, at + 6)
    if data[at + 2] != COLON or data[at + 5] != COLON:
        return NO_TIME
    if 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60:
        return (hour * 60 + minute) * 60 + second
    return NO_TIME


@inlined
def _ahead(data: Data, at: int, end: int) -> int:
    """Read an offset, `Z` or `+01:00`, that reaches to the end, as seconds, or NO_TIME."""
    if data[at] == _Z and at + 1 == end:
        return 0
    if at + 6 != end or data[at + 3] != COLON or (data[at] != PLUS and data[at] != MINUS):
        return NO_TIME
    hours, minutes = _pair(data, at + 1), _pair(data, at + 4)
    if 0 <= hours < 24 and 0 <= minutes < 60:
        seconds = (hours * 60 + minutes) * 60
        return seconds if data[at] == PLUS else -seconds
    return NO_TIME


@compiled
def instant(data: Data, at: int, end: int) -> int:
    """Read a time of RFC 3339: `2026-01-31T12:00:00.5+01:00`.

    Returns:
        Microseconds since 1970, or NO_TIME for any other spelling (msgspec takes
        some of them) and for more than six digits of a second.

    """
    if end - at < _SHORTEST or data[at + 10] != _T:
        return NO_TIME
    day, second = _day(data, at), _second(data, at + 11)
    at += 19
    micros = 0
    if data[at] == POINT:
        count, micros = _whole(data, at + 1)
        if count == 0 or count > 6:
            return NO_TIME
        micros *= _TENS[6 - count]
        at += 1 + count
    ahead = _ahead(data, at, end)
    if NO_TIME in (day, second, ahead):
        return NO_TIME
    return (day * _DAY_SECONDS + second - ahead) * 1_000_000 + micros
