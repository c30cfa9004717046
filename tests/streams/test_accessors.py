"""Headers as a producer wrote them, through a real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Message

from services.streams.accessors import headers_of
from tests.support.raw_batches import CODECS, Raw, produce_raw
from tests.support.streaming import read_all

if TYPE_CHECKING:
    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

# Latin-1, a surrogate, a byte that never occurs, and a text that is cut short.
NO_UTF8 = [b"\xe9t\xe9", b"\xed\xa0\x80", b"\xff", b"fraud.\xe2\x82"]


def test_headers_that_cannot_be_read_are_named_and_all_others_are_read(
    broker: Broker, topics: Topics
) -> None:
    records = [
        Raw(value=b"none"),
        *(Raw(value=name, headers=[(b"a", b"1"), (name, b"2"), (b"b", None)]) for name in NO_UTF8),
        Raw(value=b"some", headers=[("é".encode(), b"\xff\0"), (b"", b""), (b"null", None)]),
        Raw(value=b"NUL", headers=[(b"cut\0off", b"1")]),
        Raw(value=b"last", headers=[(b"\xff", None)]),
    ]
    for codec in CODECS:
        produce_raw(broker, topics.transactions, 0, records, codec)
    messages = read_all(broker, [topics.transactions])
    values, unreadable = headers_of(messages)
    assert [messages[i].value() for i in unreadable] == [*NO_UTF8, b"last"] * len(CODECS)
    wanted = [
        *[None] * 5,
        [("é", b"\xff\0"), ("", b""), ("null", None)],
        # The client hands a name over as a C string, so this cannot be noticed.
        [("cut", b"1")],
        None,
    ]
    assert values == wanted * len(CODECS)
    # What the client left in a message would end the process of its next reader.
    assert list(map(Message.headers, messages)) == values
