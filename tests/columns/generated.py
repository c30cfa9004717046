"""Values of records from a seed: plain, odd, mutated and hostile, for any schema."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING

from services.columns.plan import labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.transactions import Field, Schema

RECORD_MS = 1_750_000_000_123

_TEXTS = (
    *("", "a", "ab", "abc", "DE", "web", "0zz456789abc", "x" * 15, "x" * 16, "x" * 17, "x" * 63),
    *("x" * 64, "x" * 65, "x" * 256, "x" * 257, "é", "éé", "é" * 8, "é" * 256, "é" * 257, "aé"),
    *(
        "€",
        "\U0001d49c",
        "\U0001d49c" * 64,
        "e\u0301",
        "\x7f",
        "\u2028",
        "\ufeff",
        "\uffff",
        "日本",
    ),
    *('a"b', "a\\b", "a/b", "tab\t", "line\n", "nul\0", "\x1f", "\u0080", "\u07ff", "\u0800"),
)
# Parts of texts as bytes: escapes, halves of surrogates, and what is not UTF-8.
_RAW_TEXTS = (
    *(rb'"\u0041"', rb'"\u00e9x"', rb'"\ud83d\ude00"', rb'"\ud83d"', rb'"\ude00"', rb'"\ud83d\n"'),
    *(
        rb'"\q"',
        rb'"\u12"',
        rb'"\u00zz"',
        rb'"\/"',
        rb'"\b\f\n\r\t"',
        rb'"\\"',
        rb'"\"',
        rb'"\u0000"',
    ),
    *(b'"\xff"', b'"\xc3"', b'"\xc3("', b'"\xc0\x80"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"'),
    *(
        b'"\xf0\x80\x80\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\xf5\x80\x80\x80"',
        b'"\xe2\x82"',
        b'"\x80"',
    ),
    *(
        b'"\xf4\x8f\xbf\xbf"',
        b'"\xed\x9f\xbf"',
        b'"\xee\x80\x80"',
        b'"\xf0\x9f\x98"',
        b'"\0"',
        b'"\n"',
    ),
)
# Some have 16 digits, for which one division of doubles is not exact enough.
_NUMBERS = """
    0 -0 1 -1 2 5 12.34 0.5 0.1 0.30000000000000004 1e3 1E-7 999999999999999 1000000000000000
    99999999999999999999 12345678901234567890 9007199254740992 9007199254740993
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
    1000000000000 1000000000000.1 123456789.123456 123456789.1234567 0.000000000000001
    0.00000001 1.0 5.5 1e999 -1e999 1e-999 1e22 1e23 0.0 -0.0 -5.25 1.7976931348623157e308 01 00
    -01 1. .5 - +1 1e 1e+ 1.e5 0x1F NaN Infinity 9674453.510995965 942373.0038236009
    99501073.93348255 96260303.25257845 900 899.9999999999999 4.35 2.675 8.41 1.005 12345678.9
    1234567.89 1750000000123 1750000300123 1750000300124 946684800000 946684799999 1750000000
    253402300799999 253402300800000 -62135596800000 -62135596800001 1.75e12
""".split()  # noqa: SIM905 - a list of them would be three pages
_TIMES = """
    2024-05-01T12:00:00Z 2024-05-01T12:00:00.5+02:00 2024-05-01T12:00:00.123456-23:59
    2024-05-01t12:00:00z 2024-05-01T12:00:00 2024-05-01 soon 2024-02-29T23:59:59Z
    2023-02-29T00:00:00Z 1900-02-29T00:00:00Z 2000-02-29T00:00:00Z 2024-13-01T00:00:00Z
    2024-00-01T00:00:00Z 2024-04-31T00:00:00Z 2024-01-00T00:00:00Z 2024-05-01T24:00:00Z
    2024-05-01T23:60:00Z 2024-05-01T23:59:60Z 0000-01-01T00:00:00Z 0001-01-01T00:00:00Z
    0001-01-01T00:00:00+01:00 9999-12-31T23:59:59.999999-23:59 1999-12-31T23:59:59.999999Z
    2000-01-01T00:00:00Z 2000-01-01T00:59:59.999+01:00 2024-05-01T12:00:00.1234567Z
    2024-05-01T12:00:00.9999999Z 2024-05-01T12:00:00.Z 2024-05-01T12:00:00+0200
    2024-05-01T12:00:00+24:00 2024-05-01T12:00:00+02:60 2024-05-01T12:00:00-00:00
    2024-05-01T12:00:00ZZ 2024-05-01T12:00:00+02:00Z 2025-06-15T15:06:40.122999Z
    2025-06-15T15:11:40.124Z 2025-06-15T15:11:40.123999Z
""".split()  # noqa: SIM905 - a list of them would be three pages
_NESTED = (
    *(
        "[]",
        "{}",
        "[1,2]",
        '{"a":[1,{"b":"}"}]}',
        '{"a" : null , "b":[ ] }',
        "[[[[]]]]",
        "[1,]",
        "{,}",
    ),
    *(
        '{"a"}',
        '{"a":1,}',
        "{1:1}",
        "[1 2]",
        "[nul]",
        '{"a":1,"a":2}',
        '["\\u0041","\\ud800"]',
        "[-]",
    ),
    *("[" * 63 + "]" * 63, "[" * 64 + "]" * 64, "[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65),
    *(
        "[" * 200 + "1" + "]" * 200,
        "[" * 64 + "}" * 64,
        '[{"a":[}]',
        "[true,false,null,-1.5e+3,01]",
    ),
)
_LITERALS = ("null", "true", "false", "nul", "tru", "falsy", "True", "nulll", "")
_ANY = (
    *(text.encode() for text in (*_NUMBERS, *_NESTED, *_LITERALS)),
    *(
        json.dumps(text, ensure_ascii=False).encode()
        for text in (*_TEXTS, *_TIMES, "2024-05-01 12:00:00Z")
    ),
    *(json.dumps(text).encode() for text in _TEXTS),
    *_RAW_TEXTS,
)
_UNKNOWN_NAMES = (b"x", b"unknown", b"sour\\u0063e", b"\xff", b"", b"source ", b"Source", b"a" * 40)
_WHOLE = (b"", b" ", b"null", b"[]", b"{}", b"5", b'"x"', b"\0", b"\0" * 70, b"{,}", b'{"a"}', b"{")
_PIECES = (
    *(b'"', b",", b":", b"}", b"{", b"[", b"]", b"\\", b"\xc3", b"\xff", b"\x80", b"\x01", b"\x7f"),
    *(
        b"\0",
        b" ",
        b"0",
        b"-",
        b".",
        b"e",
        b"null",
        b"\xef\xbb\xbf",
        b"\xe2\x82\xac",
        b"//",
        b"/**/",
    ),
)
_BLANKS = (b"", b" ", b"  ", b"\n", b"\t", b"\r\n", b" " * 30, b"\x0b", b"\xc2\xa0")


class Generated:
    """Values for one schema; everything follows from the seed."""

    def __init__(self, schema: Schema, seed: int) -> None:
        self._random = random.Random(seed)
        self._fields = schema.fields
        self._good = {f.name: [_good(f, self._random) for _ in range(200)] for f in schema.fields}
        self._names = [field.name.encode() for field in schema.fields]
        self._twists: list[Callable[[bytes], bytes | None]] = [
            *(self._cut, self._insert, self._insert, self._replace, self._replace, self._delete),
            *(self._behind, self._before, self._whole, self._tombstone, self._swap),
        ]

    def batch(self, most: int) -> list[bytes | None]:
        """From 1 to `most` values: some batches are plain, and some full of odd ones."""
        odd = self._random.choice((0.0, 0.05, 0.5, 1.0))
        return [self.value(odd) for _ in range(self._random.randint(1, most))]

    def value(self, odd: float) -> bytes | None:
        """One value; `odd` is the chance that something is done to it."""
        rng = self._random
        members = [
            (field.name.encode(), rng.choice(self._good[field.name]))
            for field in self._fields
            if field.required or rng.random() < 0.7
        ]
        if rng.random() >= odd:
            return b"{" + b",".join([b'"%b":%b' % member for member in members]) + b"}"
        for _ in range(rng.choice((0, 1, 1, 2))):
            self._change(members)
        comma, colon, rim = b",", b":", b""
        if rng.random() < 0.3:
            comma = rng.choice(_BLANKS) + b"," + rng.choice(_BLANKS)
            colon = rng.choice(_BLANKS) + b":" + rng.choice(_BLANKS)
            rim = rng.choice(_BLANKS)
        inside = comma.join([b'"' + name + b'"' + colon + raw for name, raw in members])
        value: bytes | None = rim + b"{" + rim + inside + rim + b"}" + rim
        if rng.random() < 0.3 and value:
            value = rng.choice(self._twists)(value)
        return value

    def _change(self, members: list[tuple[bytes, bytes]]) -> None:
        rng = self._random
        kind = rng.randrange(9)
        at = rng.randrange(len(members) + 1)
        if kind == 0:
            rng.shuffle(members)
        elif kind == 1:
            members.insert(at, (rng.choice(_UNKNOWN_NAMES), rng.choice(_ANY)))
        elif kind == 2:
            members.insert(at, (rng.choice(self._names), rng.choice(_ANY)))
        elif at < len(members):
            if kind == 3:
                del members[at]
            elif kind == 4:
                members[at] = members[at][0], b"null"
            elif kind == 5:
                members[at] = members[at][0], self._escaped(members[at][1])
            else:
                members[at] = members[at][0], rng.choice(_ANY)

    def _escaped(self, raw: bytes) -> bytes:
        """The same text, with some characters written as escapes."""
        rate = self._random.choice((0.1, 1.0))
        return b"".join(
            _escape(c) if self._random.random() < rate and c != '"' else c.encode()
            for c in raw.decode(errors="replace")
        )

    def _cut(self, value: bytes) -> bytes:
        return value[: self._random.randrange(len(value))]

    def _insert(self, value: bytes) -> bytes:
        at = self._random.randrange(len(value) + 1)
        return value[:at] + self._random.choice(_PIECES) + value[at:]

    def _replace(self, value: bytes) -> bytes:
        at = self._random.randrange(len(value))
        return value[:at] + self._random.randbytes(1) + value[at + 1 :]

    def _delete(self, value: bytes) -> bytes:
        at = self._random.randrange(len(value))
        return value[:at] + value[at + self._random.randint(1, 3) :]

    def _swap(self, value: bytes) -> bytes:
        at = self._random.randrange(len(value))
        return value[at:] + value[:at]

    def _behind(self, value: bytes) -> bytes:
        return value + self._random.choice((*_PIECES, value, b"\0" + value, b"{}", b"\n" + value))

    def _before(self, value: bytes) -> bytes:
        return self._random.choice(_PIECES) + value

    def _whole(self, value: bytes) -> bytes:
        return self._random.choice((*_WHOLE, b"[" * 5000, value * 20, value[:-1] + b" " * 20_000))

    def _tombstone(self, _value: bytes) -> None:
        return None


def _escape(character: str) -> bytes:
    """A character as UTF-16 units of four digits."""
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)).encode()


def _good(field: Field, rng: random.Random) -> bytes:
    """A value that the field takes, or nearly always."""
    value: object
    match field.type:
        case _ if known := labels(field):
            value = rng.choice(known)
        case "string":
            least, most = field.min_length or 0, min(field.max_length or 40, 40)
            letters = rng.choice(("0123456789abcdef", "aéü€", "\U0001d49cz"))
            value = "".join(rng.choices(letters, k=rng.randint(least, max(least, most))))
        case "double":
            top = min(field.maximum or 900, field.exclusive_maximum or 900, 900)
            plain = round(rng.uniform(0.01, 0.99) * top, 2)
            value = rng.choice((*[plain] * 8, math.ceil(plain), rng.random() * top))
        case "int":
            value = rng.randint(0, 10 ** rng.randint(0, 9))
        case "bool":
            value = rng.random() < 0.5
        case _ if rng.random() < 0.3:
            value = (
                f"2024-0{rng.randint(1, 9)}-11T1{rng.randint(0, 9)}:00:00.{rng.randint(0, 999)}Z"
            )
        case _:
            value = RECORD_MS - rng.randint(-400_000, 10**9)
    return json.dumps(value, ensure_ascii=rng.random() < 0.1).encode()
