"""Loop over a batch of JSON records, compiled once: bytes to columns.

The records lie one after the other, each followed by a zero byte. What stands
between two values (`,"amount":`) is the same in most records, so the kernel
remembers what followed each field last, and compares that as three words
before it reads names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.columns import plan as p
from services.columns.loads import PADDING, load, word_mask
from services.columns.numerals import NO_TIME, instant, number, scaled
from services.columns.scanning import (
    CLOSE_BRACE,
    COLON,
    COMMA,
    MINUS,
    NINE,
    NOT_TAKEN,
    OPEN_BRACE,
    QUOTE,
    ZERO,
    blanks,
    literal,
    name,
    skip,
)
from services.columns.texts import text
from services.columns.words import UNKNOWN, look_up
from services.compiled import entry_point, inlined

if TYPE_CHECKING:
    import numpy.typing as npt

    from services.columns.plan import Plan

    Data = npt.NDArray[Any]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

ENDS_UNKNOWN = -1
STRANGERS = 16
"""Number of states for fields that the schema does not have; several fields share one."""

BEGINNING, ENDED = 0, -1
"""States before the first field, and after the record."""

TEXT, DOUBLE, INT, TIMESTAMP, CODE, BOOL = p.TEXT, p.DOUBLE, p.INT, p.TIMESTAMP, p.CODE, p.BOOL
NAMES = p.NAMES


FORESEEN = np.dtype(
    [
        ("first", np.uint64),
        ("second", np.uint64),
        ("third", np.uint64),
        ("first_mask", np.uint64),
        ("second_mask", np.uint64),
        ("third_mask", np.uint64),
        ("length", np.int64),
        ("state", np.int64),
    ]
)
"""Bytes that followed a state last time, their number (0: none or over 24), the next state."""


class Memory(NamedTuple):
    """Memory of earlier records, by state: the beginning, after each field, and STRANGERS."""

    foreseen: npt.NDArray[Any]  # FORESEEN[states]
    seen: Ints  # int64[F]: one more than the last row that had the field


class Table(NamedTuple):
    """Columns of n rows, laid out as in `plan.Shape`; the caller fills them with 0."""

    ints: Ints  # int64[ints, n]: starts and lengths of texts, ints, times in µs, codes
    doubles: npt.NDArray[np.float64]  # float64[doubles, n]
    flags: Bools  # bool[flags, n]


@entry_point
def read(data: Data, ends: Ints, plan: Plan, memory: Memory, table: Table) -> int:
    """Read all records.

    Args:
        data: uint8, all records with a zero byte after each, and `PADDING` more.
            Texts with escapes are written out in it.
        ends: int64[n], the index of each record's zero byte. If it is empty, the
            ends are searched, which fails if a record has a zero byte in it.
        plan: Tables of the schema.
        memory: Memory of earlier calls with this plan; updated.
        table: Columns to fill. A row that is not taken stays 0.

    Returns:
        Number of rows that are not taken, or ENDS_UNKNOWN if the search failed.

    """
    total = len(data) - PADDING
    at, left, required = 0, 0, 0
    for field in range(len(plan.fields)):
        memory.seen[field] = 0
        required += plan.fields[field].required
    begins, taken = len(table.ints) - 1, len(table.flags) - 1
    for row in range(table.ints.shape[1]):
        if at >= total:
            return ENDS_UNKNOWN
        table.ints[begins, row] = at
        end = _record(data, at, row, required, plan, memory, table)
        if len(ends) > 0:
            stop = ends[row]
        elif end != NOT_TAKEN:
            stop = end
        else:
            stop = at
            while data[stop] != 0:
                stop += 1
        if end == stop:
            table.flags[taken, row] = True
        else:
            _clear(row, table)
            left += 1
        at = stop + 1
    return left if at == total else ENDS_UNKNOWN


@inlined
def _record(
    data: Data, at: int, row: int, required: int, plan: Plan, memory: Memory, table: Table
) -> int:
    """Read one record; the index of the zero byte after it."""
    at = blanks(data, at)
    if data[at] != OPEN_BRACE:
        return NOT_TAKEN
    at += 1
    state = BEGINNING
    while True:
        foreseen = memory.foreseen[state]
        if foreseen.length > 0 and _is_next(data, at, foreseen):
            at = blanks(data, at + foreseen.length)
            state = foreseen.state
        else:
            begin = at
            at, state = _name(data, at, state, plan)
            if state == ENDED:
                break
            if at == NOT_TAKEN:
                return NOT_TAKEN
            _remember(data, begin, at, state, foreseen)
        if state > len(plan.fields):
            at = skip(data, at)
        else:
            field = state - 1
            if memory.seen[field] == row + 1:
                return NOT_TAKEN
            memory.seen[field] = row + 1
            at = _value(data, at, row, field, plan, table)
            required -= plan.fields[field].required
        if at == NOT_TAKEN:
            return NOT_TAKEN
    at = blanks(data, at)
    return at if required == 0 and data[at] == 0 else NOT_TAKEN


@inlined
def _name(data: Data, at: int, state: int, plan: Plan) -> tuple[int, int]:
    """Read what is between two values, or the end of the record.

    Returns:
        The index of the next value and its state, or the index after the
        closing brace and ENDED.

    """
    at = blanks(data, at)
    if data[at] == CLOSE_BRACE:
        return at + 1, ENDED
    if state != BEGINNING:
        if data[at] != COMMA:
            return NOT_TAKEN, state
        at = blanks(data, at + 1)
    if data[at] != QUOTE:
        return NOT_TAKEN, state
    at += 1
    close = name(data, at)
    if close == NOT_TAKEN:
        return NOT_TAKEN, state
    length = close - at
    field = look_up(plan.words, data, at, length, NAMES)
    if field == UNKNOWN:
        state = len(plan.fields) + 1 + (length + 5 * data[at]) % STRANGERS
    else:
        state = field + 1
    at = blanks(data, close + 1)
    if data[at] != COLON:
        return NOT_TAKEN, state
    return blanks(data, at + 1), state


@inlined
def _is_next(data: Data, at: int, foreseen: Any) -> bool:  # noqa: ANN401 - FORESEEN
    differs = (load(data, at) & foreseen.first_mask) ^ foreseen.first
    differs |= (load(data, at + 8) & foreseen.second_mask) ^ foreseen.second
    differs |= (load(data, at + 16) & foreseen.third_mask) ^ foreseen.third
    return differs == 0  # type: ignore[no-any-return]


@inlined
def _remember(data: Data, begin: int, end: int, state: int, foreseen: Any) -> None:  # noqa: ANN401 - FORESEEN
    length = end - begin
    foreseen.length = length if length <= 24 else 0
    foreseen.state = state
    foreseen.first_mask = word_mask(length)
    foreseen.second_mask = word_mask(length - 8)
    foreseen.third_mask = word_mask(length - 16)
    foreseen.first = load(data, begin) & foreseen.first_mask
    foreseen.second = load(data, begin + 8) & foreseen.second_mask
    foreseen.third = load(data, begin + 16) & foreseen.third_mask


@inlined
def _value(  # noqa: C901, PLR0912 - a case a kind
    data: Data, at: int, row: int, field: int, plan: Plan, table: Table
) -> int:
    """Read a field's value into its column; the index after it."""
    own = plan.fields[field]
    kind, place = own.kind, own.place
    first = data[at]
    if first == QUOTE:
        at += 1
        end, length, characters = text(data, at)
        if end == NOT_TAKEN:
            return NOT_TAKEN
        if kind == TEXT:
            if not own.low <= characters <= own.high:
                return NOT_TAKEN
            table.ints[place, row] = at
            table.ints[place + 1, row] = length
        elif kind == CODE:
            code = look_up(plan.words, data, at, length, field + 1)
            if code == UNKNOWN:
                return NOT_TAKEN
            table.ints[place, row] = code
        elif kind == TIMESTAMP:
            micros = instant(data, at, at + length)
            if micros == NO_TIME or micros < own.low * 1000:
                return NOT_TAKEN
            table.ints[place, row] = micros
        else:
            return NOT_TAKEN
        at = end + 1
    elif first == MINUS or ZERO <= first <= NINE:
        at, found, scale = number(data, at)
        if at == NOT_TAKEN:
            return NOT_TAKEN
        if kind == DOUBLE:
            double = scaled(found, scale)
            if not own.least <= double <= own.most:
                return NOT_TAKEN
            table.doubles[place, row] = double
        elif kind in (INT, TIMESTAMP):
            if scale > 0 or not own.low <= found <= own.high:
                return NOT_TAKEN
            table.ints[place, row] = found if kind == INT else found * 1000
        else:
            return NOT_TAKEN
    else:
        at = literal(data, at)
        if at == NOT_TAKEN:
            return NOT_TAKEN
        if first == 110:  # null: as if the field were not there
            return NOT_TAKEN if own.required else at
        if kind != BOOL:
            return NOT_TAKEN
        table.flags[place, row] = first == 116
    table.flags[field, row] = True
    return at


@inlined
def _clear(row: int, table: Table) -> None:
    """Take back what a row that is not taken has written, but where it begins."""
    for i in range(len(table.ints) - 1):
        table.ints[i, row] = 0
    for i in range(len(table.doubles)):
        table.doubles[i, row] = 0.0
    for i in range(len(table.flags)):
        table.flags[i, row] = False
