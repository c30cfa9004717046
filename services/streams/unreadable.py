"""Batches that the client cannot decompress: find where each ends, to skip it.

librdkafka decompresses a batch as a whole. With zstd it rejects a batch that would be larger than
`receive.message.max.bytes`, and fetches it repeatedly: `consume()` returns an error with
the offset of the batch's first record (rd_kafka_msgset_reader_decompress in its
rdkafka_msgset_reader.c), and nothing after it. Only the header of a batch has its end, and the
client does not expose that. But a broker always sends the whole batch that contains the requested
offset. So another consumer requests offsets after the first one, at growing distances and then
in between, until the response is another batch:

    records        |  5 ......... 104  | 105 ...        (one batch, then a readable record)
    asked for      6  7  9  13  21  37  69  133 | 101  117  109  105  103  104
    same batch?    y  y  y  y   y   y   y   n     y    n    n    n    y    y    -> ends at 104
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.streams.dead_letters import dead_letter_headers
from services.transactions import Reason, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.streams.processing import Headers
    from services.streams.stream import Stream

log = structlog.get_logger()

# librdkafka's public names of the errors that replace a batch that it cannot read.
_UNREADABLE = frozenset(
    {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001
    }
)
_PAST_THE_END = frozenset(
    {
        KafkaError._PARTITION_EOF,  # noqa: SLF001
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
_POLL_SECONDS = 0.2
# Timeout of one request to the broker.
_ANSWER_SECONDS = 30.0


class UnreadableBatch(NamedTuple):
    """A batch that the client cannot read.

    `first` and `last` are the offsets of its first and last record. With compaction or
    transactions, offsets between them may have no record.
    """

    partition: int
    first: int
    last: int
    reason: str

    def headers(self, message: Message) -> Headers:
        """Headers of its dead letter: the usual ones, and `dead-letter.last-offset`.

        Args:
            message: Error that `consume()` returned.

        """
        detail = f"offsets {self.first} to {self.last} cannot be read: {self.reason}"
        headers = dead_letter_headers(Rejection(Reason.UNREADABLE_BATCH, detail), message)
        return [*headers, ("dead-letter.last-offset", str(self.last).encode())]


def is_unreadable(message: Message) -> bool:
    """True if `consume()` returned the error of a batch that the client cannot read."""
    error = message.error()
    return error is not None and error.code() in _UNREADABLE and message.offset() is not None


def find_batch(stream: Stream, message: Message, tick: Callable[[], None]) -> UnreadableBatch:
    """Find the end of a batch for which `is_unreadable` is true.

    A batch of one record takes one request to the broker, one of 10,000 records 27.

    Args:
        stream: Stream whose consumer met the batch.
        message: Error that `consume()` returned.
        tick: Called between the requests, and at least every second.

    Raises:
        KafkaException: The broker does not answer, or rejects the request.

    """
    partition, first = cast("tuple[int, int]", (message.partition(), message.offset()))
    config = {
        **stream.consumer_config(),
        "enable.partition.eof": True,
        # An offset after the log's end is a result, not a reason to begin elsewhere.
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 20,
        "fetch.error.backoff.ms": 10,
    }
    config.pop("group.instance.id", None)
    consumer = Consumer(config, logger=logging.getLogger("librdkafka"))
    asked = _Asked(consumer, TopicPartition(stream.topic, partition), first, tick)
    try:
        step = 1
        while asked.has(first + step):
            step *= 2
        inside, outside = first + step // 2, first + step
        while outside - inside > 1:
            middle = (inside + outside) // 2
            inside, outside = (middle, outside) if asked.has(middle) else (inside, middle)
    finally:
        consumer.close()
    error = cast("KafkaError", message.error())
    found = UnreadableBatch(partition, first, inside, error.str())
    log.error("batch stepped over", **found._asdict())
    return found


class _Asked(NamedTuple):
    consumer: Consumer
    partition: TopicPartition
    first: int
    tick: Callable[[], None]

    def has(self, offset: int) -> bool:
        """True if the batch contains this offset.

        Raises:
            KafkaException: The broker does not answer, or rejects the request.

        """
        place = TopicPartition(self.partition.topic, self.partition.partition, offset)
        self.consumer.assign([place])
        deadline = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < deadline:
            self.tick()
            for message in self.consumer.consume(1, _POLL_SECONDS):
                if is_unreadable(message):
                    return message.offset() == self.first
                error = message.error()
                if error is None or error.code() in _PAST_THE_END:
                    return False
                if not error.retriable():
                    raise KafkaException(error)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))  # noqa: SLF001
