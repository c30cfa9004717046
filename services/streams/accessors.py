"""Accessors of records that are safe for any bytes that a producer may write.

confluent-kafka 2.16 reads the name of a header as a C string in UTF-8
(`c_headers_to_py` in its confluent_kafka.c). So

- a name that is not UTF-8 leaves a tuple without a first item in the message. The
  next reader of that tuple would crash the process with a segmentation fault. An
  exception is pending too: `map` notices it and raises SystemError, but
  `message.headers()` does not once CPython has specialized the call, and the exception
  appears somewhere later. So only this module reads headers, and it repairs such a
  message before any other code can see that tuple;
- a name with a NUL ends there. librdkafka returns names without their length,
  so this cannot be noticed.

Key, value, timestamp and header values are returned as they were written: any bytes or
None, and any 64-bit integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from confluent_kafka import Message

from services.transactions import Reason, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.streams.processing import Headers

UNREADABLE = Rejection(
    Reason.UNREADABLE_HEADERS, "the name of a header is not UTF-8; expected names in UTF-8"
)
_headers = cast("Callable[[Message], Headers | None]", Message.headers)


class HeaderColumn(NamedTuple):
    """Headers of a batch: one entry for each record, None where it has no (readable) headers."""

    values: list[Headers | None]
    unreadable: list[int]
    """Indices of the records whose headers cannot be read."""


def headers_of(messages: list[Message]) -> HeaderColumn:
    """Read the headers of a batch, as fast as `list(map(Message.headers, messages))`.

    Call it once, before any other access to the headers: afterwards a record whose headers
    cannot be read looks like a record without headers.
    """
    values: list[Headers | None] = []
    unreadable: list[int] = []
    following = map(_headers, messages)
    while True:
        try:
            # Keeps the headers before an exception; the next round continues after it.
            values.extend(following)
        except SystemError:
            at = len(values)
            unreadable.append(at)
            messages[at].set_headers(None)  # type: ignore[arg-type] # accepts any object
            values.append(None)
        else:
            return HeaderColumn(values, unreadable)


def headers_or_none(message: Message) -> Headers | None:
    """Headers of one record, None if it has none or they cannot be read."""
    return headers_of([message]).values[0]
