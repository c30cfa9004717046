"""Single values as the kernel reads them, against Python's own readers."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta, timezone

from services.columns import Columns, Doubles, JsonDecoder, Texts, Times, Whole
from services.transactions import Field, Schema

RANDOM = random.Random(1)
SCHEMA = Schema(
    (
        Field(name="text", type="string"),
        Field(name="double", type="double"),
        Field(name="int", type="int"),
        Field(name="time", type="timestamp"),
    )
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decoded(name: str, values: list[bytes]) -> Columns:
    return JsonDecoder(SCHEMA).decode([b'{"%b":%b}' % (name.encode(), v) for v in values])


def decimal(most: int) -> str:
    digits = RANDOM.randint(1, most)
    behind = RANDOM.randint(0, digits - 1)
    number = str(RANDOM.randrange(10 ** (digits - behind)))
    fraction = "".join(RANDOM.choices("0123456789", k=behind))
    text = f"{number}.{fraction}" if behind else number
    return f"-{text}" if RANDOM.random() < 0.3 and text.strip("0.") else text


def test_decimals_of_up_to_15_digits_are_the_nearest_doubles() -> None:
    texts = [decimal(15) for _ in range(50_000)]
    columns = decoded("double", [text.encode() for text in texts])
    found = columns.by_path["double"]
    assert isinstance(found, Doubles)
    assert columns.one_by_one == 0
    assert found.values.tolist() == [float(text) for text in texts]


def test_longer_decimals_are_the_nearest_doubles_too() -> None:
    texts = [decimal(20) for _ in range(50_000)]
    found = decoded("double", [text.encode() for text in texts]).by_path["double"]
    assert isinstance(found, Doubles)
    assert found.values.tolist() == [float(text) for text in texts]


def test_whole_numbers_of_up_to_15_digits_are_exact() -> None:
    numbers = [RANDOM.randrange(10 ** RANDOM.randint(1, 15)) for _ in range(20_000)]
    numbers += [-number for number in numbers if number]
    columns = decoded("int", [b"%d" % number for number in numbers])
    found = columns.by_path["int"]
    assert isinstance(found, Whole)
    assert columns.one_by_one == 0
    assert found.values.tolist() == numbers


def test_times_of_every_year_are_those_of_the_calendar() -> None:
    times = []
    for year in range(1, 10_000):
        first, last = (
            datetime(year, 1, 1, tzinfo=UTC),
            datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC),
        )
        leap = datetime(year, 2, 28, tzinfo=UTC) + timedelta(days=1)
        drawn = first + timedelta(seconds=RANDOM.randrange(365 * 86_400))
        times += [first, last, leap, drawn.replace(microsecond=RANDOM.randrange(10**6))]
        minutes = RANDOM.randint(-1439, 1439)
        times.append(drawn.replace(tzinfo=timezone(timedelta(minutes=minutes))))
    columns = decoded("time", [b'"%b"' % at.isoformat().encode() for at in times])
    found = columns.by_path["time"]
    assert isinstance(found, Times)
    assert columns.one_by_one == 0
    assert found.micros.tolist() == [(at - EPOCH) // timedelta(microseconds=1) for at in times]


def test_every_character_is_read() -> None:
    special = {ord('"'), ord("\\"), *range(32), *range(0xD800, 0xE000)}
    points = [chr(point) for point in range(sys.maxunicode + 1) if point not in special]
    texts = ["".join(points[i : i + 256]) for i in range(0, len(points), 256)]
    columns = decoded("text", [b'"%b"' % text.encode() for text in texts])
    found = columns.by_path["text"]
    assert isinstance(found, Texts)
    assert columns.one_by_one == 0
    assert [found.value(i) for i in range(len(texts))] == texts


def test_utf_8_is_what_pythons_decoder_takes() -> None:
    """Each pair of a first byte beyond ASCII and a second, with what may follow."""
    values = [
        bytes([first, second]) + tail
        for first in range(0x80, 0x100)
        for second in range(0x100)
        if second not in {0, ord('"'), ord("\\")}
        for tail in (b"", b"\x80", b"\xbf\xbf", b"\x80a")
    ]
    columns = decoded("text", [b'"%b"' % value for value in values])
    assert columns.accepted.tolist() == [is_text(value) for value in values]
    assert columns.one_by_one == len(columns.rejections)


def is_text(value: bytes) -> bool:
    try:
        return all(ord(character) >= 32 for character in value.decode())
    except UnicodeDecodeError:
        return False
