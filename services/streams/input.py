"""The consuming side of the loop: records as they arrive, and the positions after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from services.streams.calls import CallOverdueError
from services.streams.clients import OUT_OF_LOG
from services.streams.group_consumer import GroupConsumer
from services.streams.output import CALL_SECONDS, SLACK_SECONDS
from services.streams.processing import place_of
from services.streams.unreadable import is_unreadable

if TYPE_CHECKING:
    from services.streams.calls import Calls
    from services.streams.commits import Commits
    from services.streams.processing import Batch
    from services.streams.stream import Stream
    from services.streams.undeliverable import Place

log = structlog.get_logger()


class Input:
    """A consumer of the stream's group, and the state of its partitions.

    Args:
        stream: Identity and settings of the stream.
        calls: Bounds the calls that may block.

    """

    def __init__(self, stream: Stream, calls: Calls) -> None:
        self.consumer = GroupConsumer(stream.consumer_config(), stream.topic)
        # Kept here, because assignment() would wait for librdkafka's main thread.
        self.assigned: list[TopicPartition] = []
        # No record of these came since they were assigned or rewound: librdkafka still returns
        # the position from before, and committing that would lose records.
        self.unread: set[int] = set()
        # The log of these does not fit what was committed or read.
        self.out_of_log: set[int] = set()
        # Errors of batches that the client cannot read, by the place of their first record.
        self.unreadable: dict[Place, Message] = {}
        self._calls = calls
        self._lost_some = False

    @property
    def partitions(self) -> list[int]:
        """Numbers of the assigned partitions."""
        return [place.partition for place in self.assigned]

    def begin(self) -> None:
        """Begin a batch."""
        self._lost_some = False
        self.unreadable = {}

    def sort_out(self, messages: list[Message]) -> list[Message]:
        """Return the records among the messages consumed since `begin`.

        Errors, and records of partitions that were lost meanwhile, are left out.

        Raises:
            KafkaException: An error after which this consumer cannot continue.

        """
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages)
        if self._lost_some:
            # Fetched before a rebalance moved their partition: another detector judges them.
            kept = set(self.partitions)
            messages = [message for message in messages if message.partition() in kept]
        return messages

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if is_unreadable(message):
                self.unreadable[place_of(message)] = message
            elif error.code() in OUT_OF_LOG:
                log.warning("out of the log", partition=message.partition(), reason=words(error))
                self.out_of_log.add(place_of(message)[0])
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
            else:
                log.warning("consumer", reason=words(error))
        return [message for message in messages if message.error() is None]

    def positions(self, batch: Batch) -> list[TopicPartition]:
        """Return the next offset of each partition after a batch was processed."""
        positions = self.consumer.position(self.assigned)
        if self.unread:
            self.unread -= {partition for partition, _, _ in batch.runs}
            positions = [p for p in positions if p.partition not in self.unread]
        return [p for p in positions if p.offset >= 0]

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Start with partitions; the processor fetches each when it has found where to resume."""
        self.assigned = self.assigned + partitions
        self.unread |= {p.partition for p in partitions}

    def forget(self, gone: set[int]) -> None:
        """Forget partitions, given by their numbers."""
        self._lost_some = True
        self.assigned = [p for p in self.assigned if p.partition not in gone]
        self.unread -= gone
        self.out_of_log -= gone

    def rewind(self, commits: Commits) -> dict[int, int]:
        """Go back to what is committed, and return it: offsets by partition, below 0 for none.

        Raises:
            KafkaException: The broker rejected the request, or did not answer in time.
            CallOverdueError: The call of the client did not return.

        """
        if not self.assigned:
            return {}
        places = self._calls.within(
            CALL_SECONDS + SLACK_SECONDS, self.consumer.committed, self.assigned, CALL_SECONDS
        )
        for place in places:
            if place.error is not None:
                raise KafkaException(place.error)
            commits.check(place)
            if place.offset < 0:
                place.offset = OFFSET_BEGINNING
            if place.partition in self.consumer.fetched:
                self.consumer.seek(place)
            self.unread.add(place.partition)
        return {place.partition: place.offset for place in places}

    def close(self) -> None:
        """Leave the group; a client whose `close` does not return is abandoned."""
        try:
            self._calls.within(CALL_SECONDS, self.consumer.close)
        except CallOverdueError as error:
            log.warning("consumer abandoned", reason=str(error))


def words(error: KafkaError) -> str:
    """Name and text of an error, for the log."""
    return f"{error.name()}: {error.str()}"
