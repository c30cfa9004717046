"""Kinds of bad bytes, structure, numbers and meaning, each with what must become of it.

Some cases look bad and are accepted on purpose; those say why. Event times are
meant for a record that is written now.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Final

from services.transactions import Reason

ACCEPTED: Final = None
"""The outcome of a case that is a transaction on purpose."""

_DEPTH = 100_000
_GOOD = {"source": '"alice"', "target": '"bob"', "amount": "12.5", "currency": '"EUR"'}


@dataclass(frozen=True)
class Case:
    """A record's value, and what must become of it: a reason, or ACCEPTED."""

    name: str
    value: bytes | None = field(repr=False)  # some are a megabyte
    outcome: Reason | None
    why: str


def transaction(**raw: str | None) -> bytes:
    """Write a good transaction with some fields replaced by raw JSON, or left out (None)."""
    fields = _GOOD | raw
    return ("{" + ",".join(f'"{k}":{v}' for k, v in fields.items() if v is not None) + "}").encode()


def _with(text: bytes, **raw: str | None) -> bytes:
    """Put raw bytes where the word HERE stands."""
    return transaction(**raw).replace(b"HERE", text)


def _arrays(depth: int) -> str:
    return "[" * depth + "]" * depth


def _objects(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


_BYTES = (
    Case("tombstone", None, Reason.TOMBSTONE, "a record without a value"),
    Case("empty", b"", Reason.EMPTY, "no bytes"),
    Case("spaces", b"   ", Reason.EMPTY, "only white space"),
    Case("line ends", b"\r\n\t\n", Reason.EMPTY, "only white space"),
    Case("one NUL", b"\0", Reason.MALFORMED_JSON, "a byte, but no JSON"),
    Case("NULs", b"\0" * 64, Reason.MALFORMED_JSON, "a block of zeroed disk"),
    Case("NUL after", transaction() + b"\0", Reason.MALFORMED_JSON, "a C string's end"),
    Case(
        "NUL in a known text",
        _with(b"a\0b", source='"HERE"'),
        Reason.MALFORMED_JSON,
        "control characters are escaped in JSON",
    ),
    Case("NUL in an unknown text", _with(b"a\0b", extra='"HERE"'), Reason.MALFORMED_JSON, "same"),
    Case("line end in a text", _with(b"a\nb", source='"HERE"'), Reason.MALFORMED_JSON, "unescaped"),
    Case("BOM", b"\xef\xbb\xbf" + transaction(), Reason.BYTE_ORDER_MARK, "RFC 8259 forbids it"),
    Case("BOM alone", b"\xef\xbb\xbf", Reason.BYTE_ORDER_MARK, "an empty file of an editor"),
    Case(
        "UTF-16 with a mark",
        transaction().decode().encode("utf-16"),
        Reason.INVALID_UTF8,
        "JSON is UTF-8",
    ),
    Case(
        "UTF-16, other end first",
        b"\xfe\xff" + transaction().decode().encode("utf-16-be"),
        Reason.INVALID_UTF8,
        "JSON is UTF-8",
    ),
    Case(
        "UTF-16 without a mark",
        transaction().decode().encode("utf-16-le"),
        Reason.MALFORMED_JSON,
        "a NUL where a name should begin",
    ),
    Case(
        "UTF-32",
        transaction().decode().encode("utf-32"),
        Reason.INVALID_UTF8,
        "its mark begins like that of UTF-16",
    ),
    Case("invalid UTF-8", _with(b"\xff", source='"HERE"'), Reason.INVALID_UTF8, "never in UTF-8"),
    Case("Latin-1", _with(b"Jos\xe9", source='"HERE"'), Reason.INVALID_UTF8, "é of Latin-1"),
    Case("cut UTF-8", _with(b"a\xc3", source='"HERE"'), Reason.INVALID_UTF8, "half an é"),
    Case("overlong UTF-8", _with(b"\xc0\xaf", target='"HERE"'), Reason.INVALID_UTF8, "/ in two"),
    Case("UTF-8 surrogate", _with(b"\xed\xa0\x80", id='"HERE"'), Reason.INVALID_UTF8, "CESU-8"),
    Case(
        "UTF-8 beyond Unicode",
        _with(b"\xf4\x90\x80\x80", source='"HERE"'),
        Reason.INVALID_UTF8,
        "U+110000",
    ),
    Case(
        "invalid UTF-8 in an unknown field",
        _with(b"\xff", extra='"HERE"'),
        ACCEPTED,
        "fields that are not listed pass through unread",
    ),
    Case(
        "UTF-32, other end first",
        b"\0\0\xfe\xff" + transaction().decode().encode("utf-32-be"),
        Reason.INVALID_UTF8,
        "JSON is UTF-8",
    ),
    Case(
        "invalid UTF-8 in an unknown name",
        transaction()[:-1] + b',"\xff":1}',
        ACCEPTED,
        "names that are not listed pass through unread too",
    ),
    Case("raw 0xff", b"\xff", Reason.MALFORMED_JSON, "no JSON begins so"),
    Case("random", random.Random(1).randbytes(256), Reason.MALFORMED_JSON, "no JSON"),
    Case("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", Reason.MALFORMED_JSON, "compressed by hand"),
    Case(
        "Avro",
        b"\0\0\0\0\x2a\x0aalice\x06bob\0\0\0\0\0\0\x29\x40",
        Reason.MALFORMED_JSON,
        "magic byte and schema id of a schema registry",
    ),
    Case(
        "JSON of a schema registry",
        b"\0\0\0\0\x2a" + transaction(),
        Reason.MALFORMED_JSON,
        "the magic byte is not part of JSON",
    ),
)

_STRUCTURE = (
    Case("truncated", transaction()[:-1], Reason.MALFORMED_JSON, "the last brace is missing"),
    Case("truncated in a text", transaction()[:14], Reason.MALFORMED_JSON, "cut in the middle"),
    Case("brace", b"{", Reason.MALFORMED_JSON, "nothing but a beginning"),
    Case("two documents", transaction() * 2, Reason.MALFORMED_JSON, "a record is one"),
    Case("two lines", transaction() + b"\n" + transaction(), Reason.MALFORMED_JSON, "JSON lines"),
    Case("trailing garbage", transaction() + b" x", Reason.MALFORMED_JSON, "more than JSON"),
    Case("trailing white space", transaction() + b" \r\n", ACCEPTED, "JSON allows it"),
    Case("leading white space", b"\n\t " + transaction(), ACCEPTED, "JSON allows it"),
    Case("line comment", b"// why\n" + transaction(), Reason.MALFORMED_JSON, "JSON has none"),
    Case("block comment", _with(b"/**/1", amount="HERE"), Reason.MALFORMED_JSON, "JSON has none"),
    Case(
        "single quotes", transaction().replace(b'"', b"'"), Reason.MALFORMED_JSON, "Python's repr"
    ),
    Case("bare names", b"{source:1}", Reason.MALFORMED_JSON, "JavaScript"),
    Case("trailing comma", transaction()[:-1] + b",}", Reason.MALFORMED_JSON, "JavaScript"),
    Case("missing comma", transaction().replace(b",", b" "), Reason.MALFORMED_JSON, "no comma"),
    Case("missing colon", b'{"source" "alice"}', Reason.MALFORMED_JSON, "no colon"),
    Case("number as a name", b'{1:"alice"}', Reason.MALFORMED_JSON, "names are strings"),
    Case("Python's None", transaction(id="None"), Reason.MALFORMED_JSON, "Python's repr"),
    Case("undefined", transaction(id="undefined"), Reason.MALFORMED_JSON, "JavaScript"),
    Case("unknown escape", transaction(source=r'"\q"'), Reason.MALFORMED_JSON, "no such escape"),
    Case("cut escape", transaction(source=r'"\u12"'), Reason.MALFORMED_JSON, "four digits"),
    Case("form encoding", b"source=alice&target=bob", Reason.MALFORMED_JSON, "no JSON"),
    Case("CSV", b"alice,bob,12.5,EUR", Reason.MALFORMED_JSON, "no JSON"),
    Case("XML", b"<transaction/>", Reason.MALFORMED_JSON, "no JSON"),
    Case("lone surrogate", transaction(source=r'"\ud800"'), Reason.MALFORMED_JSON, "not Unicode"),
    Case("low surrogate", transaction(source=r'"\udc00x"'), Reason.MALFORMED_JSON, "not Unicode"),
    Case(
        "lone surrogate in an unknown field",
        transaction(extra=r'"\ud800"'),
        Reason.MALFORMED_JSON,
        "escapes are read even where the text is not kept",
    ),
    Case("array", b"[" + transaction() + b"]", Reason.NOT_AN_OBJECT, "a batch is no transaction"),
    Case("empty array", b"[]", Reason.NOT_AN_OBJECT, "no object"),
    Case("text", b'"alice"', Reason.NOT_AN_OBJECT, "no object"),
    Case("encoded twice", json.dumps(transaction().decode()).encode(), Reason.NOT_AN_OBJECT, "so"),
    Case("number", b"12.5", Reason.NOT_AN_OBJECT, "no object"),
    Case("boolean", b"true", Reason.NOT_AN_OBJECT, "no object"),
    Case("null", b"null", Reason.NOT_AN_OBJECT, "a tombstone's imitation"),
    Case("arrays, deep", _arrays(_DEPTH).encode(), Reason.NOT_AN_OBJECT, "the first is enough"),
    Case("arrays, open", b"[" * _DEPTH, Reason.NOT_AN_OBJECT, "the first is enough"),
    Case("objects, deep", _objects(_DEPTH).encode(), Reason.TOO_DEEP, "to be skipped, it is read"),
    Case("deep unknown field", transaction(extra=_arrays(_DEPTH)), Reason.TOO_DEEP, "arrays"),
    Case("deep unknown objects", transaction(extra=_objects(_DEPTH)), Reason.TOO_DEEP, "objects"),
    Case("deep and open", transaction(extra="[" * _DEPTH), Reason.TOO_DEEP, "depth comes first"),
    Case("deep known field", transaction(source=_arrays(_DEPTH)), Reason.TOO_DEEP, "form first"),
    Case("deep known object", transaction(amount=_objects(_DEPTH)), Reason.TOO_DEEP, "the same"),
    Case("known field, open", transaction(source="[" * _DEPTH), Reason.TOO_DEEP, "the same"),
    Case("nested known field", transaction(source=_arrays(100)), Reason.WRONG_TYPE, "an array"),
    Case("wrong and truncated", b'{"amount":-1,', Reason.MALFORMED_JSON, "form before meaning"),
    Case("wrong and trailing", b'{"amount":-1} x', Reason.MALFORMED_JSON, "form before meaning"),
    Case("missing and trailing", b"{} x", Reason.MALFORMED_JSON, "form before meaning"),
    Case("nested unknown field", transaction(extra=_arrays(100)), ACCEPTED, "unread, and not deep"),
    Case(
        "duplicate field",
        transaction()[:-1] + b',"source":"carol"}',
        ACCEPTED,
        "the last one wins, as in most readers of JSON",
    ),
    Case(
        "duplicate field, last wrong",
        transaction()[:-1] + b',"amount":-1}',
        Reason.OUT_OF_RANGE,
        "the last one wins, and is checked",
    ),
    Case(
        "duplicate field, first wrong",
        transaction(source="1")[:-1] + b',"source":"carol"}',
        Reason.WRONG_TYPE,
        "every one is checked",
    ),
    Case("empty name", transaction()[:-1] + b',"":1}', ACCEPTED, "an unknown field like any other"),
    Case("megabyte unknown text", transaction(extra=f'"{"x" * 999_000}"'), ACCEPTED, "unread"),
    Case("larger unknown text", transaction(extra=f'"{"x" * 1_100_000}"'), ACCEPTED, "unread"),
    Case(
        "megabyte known text",
        transaction(source=f'"{"x" * 999_000}"'),
        Reason.WRONG_LENGTH,
        "a name has 256 characters at most",
    ),
    Case(
        "larger known text",
        transaction(merchant=f'"{"x" * 1_100_000}"'),
        Reason.WRONG_LENGTH,
        "a name has 256 characters at most",
    ),
    Case(
        "megabyte currency",
        transaction(currency=f'"{"E" * 999_000}"'),
        Reason.UNKNOWN_CURRENCY,
        "and the detail does not carry it",
    ),
    Case("megabyte of spaces", b" " * 999_000, Reason.EMPTY, "only white space"),
    Case(
        "many unknown fields",
        transaction(**{f"x{i}": "1" for i in range(10_000)}),
        ACCEPTED,
        "unread",
    ),
)

_NUMBERS = (
    Case("NaN", transaction(amount="NaN"), Reason.MALFORMED_JSON, "JSON has no such number"),
    Case("Infinity", transaction(amount="Infinity"), Reason.MALFORMED_JSON, "no such number"),
    Case("-Infinity", transaction(amount="-Infinity"), Reason.MALFORMED_JSON, "no such number"),
    Case("NaN, unknown field", transaction(extra="NaN"), Reason.MALFORMED_JSON, "no such number"),
    Case("1e400", transaction(amount="1e400"), Reason.OUT_OF_RANGE, "infinite as a double"),
    Case("-1e400", transaction(amount="-1e400"), Reason.OUT_OF_RANGE, "infinite as a double"),
    Case("1e308", transaction(amount="1e308"), Reason.OUT_OF_RANGE, "more than there is"),
    Case("1e-400", transaction(amount="1e-400"), Reason.OUT_OF_RANGE, "0 as a double"),
    Case("1e400, unknown field", transaction(extra="1e400"), ACCEPTED, "unread, and valid JSON"),
    Case("2^64", transaction(amount=str(2**64)), Reason.OUT_OF_RANGE, "no integer type has it"),
    Case("5,000 digits", transaction(amount="9" * 5_000), Reason.OUT_OF_RANGE, "infinite"),
    Case("5,000 digits, unknown", transaction(extra="9" * 5_000), ACCEPTED, "unread"),
    Case("5,000 decimals", transaction(amount=f"1.{'1' * 5_000}"), ACCEPTED, "rounds to a double"),
    Case("negative", transaction(amount="-12.5"), Reason.OUT_OF_RANGE, "a refund is no payment"),
    Case("zero", transaction(amount="0"), Reason.OUT_OF_RANGE, "nothing is paid"),
    Case("0.0", transaction(amount="0.0"), Reason.OUT_OF_RANGE, "nothing is paid"),
    Case("-0.0", transaction(amount="-0.0"), Reason.OUT_OF_RANGE, "nothing is paid"),
    Case("-0", transaction(amount="-0"), Reason.OUT_OF_RANGE, "nothing is paid"),
    Case("smallest double", transaction(amount="5e-324"), ACCEPTED, "more than nothing"),
    Case("most", transaction(amount="1000000000000"), ACCEPTED, "the bound is allowed itself"),
    Case(
        "more than most", transaction(amount="1000000000000.01"), Reason.OUT_OF_RANGE, "the bound"
    ),
    Case("integer amount", transaction(amount="12"), ACCEPTED, "JSON has one kind of number"),
    Case("exponent", transaction(amount="1.25e1"), ACCEPTED, "JSON has exponents"),
    Case("leading zero", transaction(amount="012"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("plus", transaction(amount="+1"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("two minuses", transaction(amount="--1"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("no whole part", transaction(amount=".5"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("no decimals", transaction(amount="5."), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("no exponent", transaction(amount="5e"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("underscore", transaction(amount="1_000"), Reason.MALFORMED_JSON, "Python"),
    Case("decimal comma", transaction(amount="12,50"), Reason.MALFORMED_JSON, "a locale's"),
    Case("hex", transaction(amount="0x1F"), Reason.MALFORMED_JSON, "JSON forbids it"),
    Case("hex, unknown field", transaction(extra="0x1F"), Reason.MALFORMED_JSON, "JSON forbids it"),
)

_MEANING = (
    Case("no fields", b"{}", Reason.MISSING_FIELD, "source is required"),
    *(
        Case(f"no {name}", transaction(**{name: None}), Reason.MISSING_FIELD, "it is required")
        for name in _GOOD
    ),
    *(
        Case(f"null {name}", transaction(**{name: "null"}), Reason.NULL_FIELD, "it is required")
        for name in _GOOD
    ),
    *(
        Case(f"null {name}", transaction(**{name: "null"}), ACCEPTED, "as good as left out")
        for name in ("id", "timestamp", "channel", "merchant", "country", "device", "ip")
    ),
    Case(
        "names in capitals",
        transaction().replace(b"source", b"SOURCE"),
        Reason.MISSING_FIELD,
        "names are case-sensitive, so it is an unknown one",
    ),
    Case("Amount", transaction(amount=None, Amount="1"), Reason.MISSING_FIELD, "the same"),
    Case("other case besides", transaction(Amount="-1", ID="7"), ACCEPTED, "unknown fields"),
    Case(
        "name with a space",
        transaction().replace(b"source", b"source "),
        Reason.MISSING_FIELD,
        "so",
    ),
    *(
        Case(
            f"{kind} {name}", transaction(**{name: raw}), Reason.WRONG_TYPE, "a string is expected"
        )
        for name in ("source", "target", "id", "channel", "merchant", "country", "device", "ip")
        for kind, raw in {"number": "12", "boolean": "true", "array": "[]", "object": "{}"}.items()
    ),
    *(
        Case(f"{kind} amount", transaction(amount=raw), Reason.WRONG_TYPE, "a number is expected")
        for kind, raw in {
            "string": '"12.5"',
            "empty string": '""',
            "true": "true",
            "false": "false",
            "array": "[12.5]",
            "object": '{"value":12.5}',
        }.items()
    ),
    *(
        Case(f"{kind} currency", transaction(currency=raw), Reason.WRONG_TYPE, "a string's place")
        for kind, raw in {"number": "978", "boolean": "true", "array": '["EUR"]'}.items()
    ),
    *(
        Case(f"{kind} currency", transaction(currency=f'"{code}"'), Reason.UNKNOWN_CURRENCY, why)
        for kind, code, why in (
            ("lower case", "eur", "codes are in capitals"),
            ("look-alike", "\N{CYRILLIC CAPITAL LETTER IE}UR", "the first letter is Cyrillic"),
            ("full-width", "ＥＵＲ", "not ASCII"),  # noqa: RUF001 - that is the case
            ("unknown", "ABC", "not in ISO 4217"),
            ("withdrawn", "DEM", "no longer in ISO 4217"),
            ("metal", "XAU", "it has no minor unit, and nobody pays in it"),
            ("without currency", "XXX", "ISO's word for none"),
            ("replaced", "BGN", "Bulgaria has the euro since 2026"),
            ("crypto", "BTC", "not in ISO 4217"),
            ("empty", "", "not in ISO 4217"),
            ("padded", "EUR ", "white space is not trimmed"),
            ("numeric", "978", "the code is alphabetic"),
            ("sign", "€", "the code is alphabetic"),
        )
    ),
    Case("fund of ISO 4217", transaction(currency='"CLF"'), ACCEPTED, "with a minor unit"),
    Case(
        "megabyte of look-alikes",
        transaction(currency=f'"{chr(0x415) * 499_000}"'),
        Reason.UNKNOWN_CURRENCY,
        "shown in ASCII, shortened",
    ),
    Case(
        "control characters in a currency",
        transaction(currency=r'"\u001b[31m\u0007"'),
        Reason.UNKNOWN_CURRENCY,
        "and the detail does not carry them",
    ),
    Case("escaped currency", transaction(currency=r'"\u0045UR"'), ACCEPTED, "an E all the same"),
    *(
        Case(f"empty {name}", transaction(**{name: '""'}), Reason.WRONG_LENGTH, "too short")
        for name in ("source", "target", "id", "country")
    ),
    Case("empty channel", transaction(channel='""'), ACCEPTED, "it has no least length"),
    *(
        Case(f"long {name}", transaction(**{name: f'"{"x" * n}"'}), Reason.WRONG_LENGTH, "too long")
        for name, n in (("source", 257), ("target", 257), ("id", 257), ("channel", 65), ("ip", 46))
    ),
    Case("longest source", transaction(source=f'"{"é" * 256}"'), ACCEPTED, "characters, not bytes"),
    Case("country of 3", transaction(country='"DEU"'), Reason.WRONG_LENGTH, "two letters"),
    Case("country of 1", transaction(country='"D"'), Reason.WRONG_LENGTH, "two letters"),
    Case("escaped NUL in a name", transaction(source=r'"a\u0000b"'), ACCEPTED, "Unicode has it"),
    Case("emoji name", transaction(source='"😀"'), ACCEPTED, "names are anybody's"),
    Case("escaped emoji", transaction(source=r'"\ud83d\ude00"'), ACCEPTED, "a whole pair is fine"),
    Case("direction mark", transaction(source='"\\u202ealice"'), ACCEPTED, "names are anybody's"),
    Case("same source and target", transaction(target='"alice"'), ACCEPTED, "for rules to judge"),
    Case("blank source", transaction(source='" "'), ACCEPTED, "a character; rules may judge"),
    Case("no address", transaction(ip='"999.1.1.1"'), ACCEPTED, "text for rules; it is not parsed"),
)


def _timed(name: str, raw: str, outcome: Reason | None, why: str) -> Case:
    return Case(f"timestamp {name}", transaction(timestamp=raw), outcome, why)


_EVENT_TIMES = (
    _timed("0", "0", Reason.TIMESTAMP_TOO_OLD, "an unset clock"),
    _timed("1", "1", Reason.TIMESTAMP_TOO_OLD, "1970"),
    _timed("negative", "-1", Reason.TIMESTAMP_TOO_OLD, "1969"),
    _timed("in seconds", "1714564800", Reason.TIMESTAMP_TOO_OLD, "January 1970 as milliseconds"),
    _timed("just too old", "946684799999", Reason.TIMESTAMP_TOO_OLD, "before 2000"),
    _timed("the oldest", "946684800000", ACCEPTED, "the bound is allowed itself"),
    _timed("in microseconds", "1714564800000000", Reason.INVALID_TIMESTAMP, "past the year 9999"),
    _timed("year 9999", "253402300799999", Reason.TIMESTAMP_IN_FUTURE, "the last there is"),
    _timed("year 10000", "253402300800000", Reason.INVALID_TIMESTAMP, "no RFC 3339 time"),
    _timed("2^64", str(2**64), Reason.INVALID_TIMESTAMP, "no integer type has it"),
    _timed("-2^64", str(-(2**64)), Reason.TIMESTAMP_TOO_OLD, "no integer type has it"),
    _timed("5,000 digits", "9" * 5_000, Reason.INVALID_TIMESTAMP, "no integer type has it"),
    _timed("float", "1714564800000.5", Reason.INVALID_TIMESTAMP, "milliseconds are whole"),
    _timed("whole float", "1714564800000.0", Reason.INVALID_TIMESTAMP, "milliseconds are whole"),
    _timed("exponent", "1.7145648e12", Reason.INVALID_TIMESTAMP, "milliseconds are whole"),
    _timed("1e400", "1e400", Reason.INVALID_TIMESTAMP, "infinite"),
    _timed("boolean", "true", Reason.INVALID_TIMESTAMP, "no time"),
    _timed("array", "[2024,5,1]", Reason.INVALID_TIMESTAMP, "no time"),
    _timed("object", '{"$date":1714564800000}', Reason.INVALID_TIMESTAMP, "MongoDB's"),
    _timed("integer", "1714564800000", ACCEPTED, "epoch milliseconds"),
    _timed("UTC", '"2024-05-01T12:00:00Z"', ACCEPTED, "RFC 3339"),
    _timed("offset", '"2024-05-01T14:00:00.5+02:00"', ACCEPTED, "RFC 3339"),
    _timed("lower case", '"2024-05-01t12:00:00z"', ACCEPTED, "RFC 3339 allows it"),
    _timed("with a space", '"2024-05-01 12:00:00Z"', ACCEPTED, "RFC 3339 allows it"),
    _timed("nanoseconds", '"2024-05-01T12:00:00.123456789Z"', ACCEPTED, "RFC 3339 allows it"),
    _timed("without offset", '"2024-05-01T12:00:00"', Reason.INVALID_TIMESTAMP, "whose noon?"),
    _timed("date", '"2024-05-01"', Reason.INVALID_TIMESTAMP, "no time of day"),
    _timed("30 February", '"2024-02-30T12:00:00Z"', Reason.INVALID_TIMESTAMP, "no such day"),
    _timed("hour 24", '"2024-05-01T24:00:00Z"', Reason.INVALID_TIMESTAMP, "no such hour"),
    _timed("nonsense", '"yesterday"', Reason.INVALID_TIMESTAMP, "no time"),
    _timed("empty", '""', Reason.INVALID_TIMESTAMP, "no time"),
    _timed("digits in quotes", '"1714564800000"', Reason.INVALID_TIMESTAMP, "neither kind"),
    _timed("RFC 2822", '"Wed, 01 May 2024 12:00:00 GMT"', Reason.INVALID_TIMESTAMP, "neither kind"),
    _timed("text of 1999", '"1999-12-31T23:59:59.999Z"', Reason.TIMESTAMP_TOO_OLD, "before 2000"),
    _timed("text of 2000", '"1999-12-31T23:00:00-01:00"', ACCEPTED, "the bound is allowed itself"),
    _timed("text of year 1", '"0001-01-01T00:00:00+23:59"', Reason.TIMESTAMP_TOO_OLD, "year 0"),
    _timed("text of 9999", '"9999-12-31T23:59:59-23:59"', Reason.TIMESTAMP_IN_FUTURE, "10000"),
)

CASES: tuple[Case, ...] = (*_BYTES, *_STRUCTURE, *_NUMBERS, *_MEANING, *_EVENT_TIMES)
