"""The interface between the loop and the processor that it runs."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, cast

from confluent_kafka import Message

from services.telemetry import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import TopicPartition

    from services.streams.group_consumer import GroupConsumer
    from services.streams.identity import TopicIdentity
    from services.transactions import Rejection

# The loop shows about every second that it moves, whatever Kafka's client does.
STANDSTILL_SECONDS = 30.0

Headers = list[tuple[str, str | bytes | None]]
# Output topic of a record, and the headers that it gains.
Route = tuple[str, Headers | None]
# A partition, and the places [begin, end) of its records in a batch.
Run = tuple[int, int, int]


# For a record that was read, this is never None.
_partition = cast("Callable[[Message], int]", Message.partition)
_milliseconds = itemgetter(1)


class Batch(NamedTuple):
    """Records as columns, partition by partition, in the order of their offsets.

    Timestamps are epoch ms, 0 if there is none.
    """

    messages: list[Message]
    values: list[bytes | None]
    timestamps_ms: list[int]
    runs: list[Run]

    @classmethod
    def of(cls, messages: list[Message]) -> Self:
        """Make a batch of records; sorts them in place."""
        messages.sort(key=_partition)  # 25 ns a record; records arrive almost in order
        values = cast("list[bytes | None]", list(map(Message.value, messages)))
        timestamps = list(map(_milliseconds, map(Message.timestamp, messages)))
        if min(timestamps, default=0) < 0:
            timestamps = [max(ms, 0) for ms in timestamps]
        runs = []
        begin = 0
        while begin < len(messages):
            partition, _ = place_of(messages[begin])
            end = bisect_right(messages, partition, begin, key=_partition)
            runs.append((partition, begin, end))
            begin = end
        return cls(messages, values, timestamps, runs)


def place_of(message: Message) -> tuple[int, int]:
    """Return the partition and the offset of a record that was read."""
    return cast("tuple[int, int]", (message.partition(), message.offset()))


class Processor(Protocol):
    """The code that the loop runs: it decides where records go, and is notified of commits."""

    def assigned(self, partitions: list[int]) -> None:
        """Start with partitions. Fetch each when its records can be judged."""

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""

    def process(self, batch: Batch) -> list[Route]:
        """Return the route of each record, in order. Never raises for a record's content."""

    def answer(self, routes: list[Route], headers: Sequence[Headers | None]) -> None:
        """Add the headers to routes, in place, that answer headers of the original records.

        Args:
            routes: Result of `process` for a batch.
            headers: Original headers of each record, None if it has none.

        """

    def undeliverable(self, place: tuple[int, int], rejection: Rejection) -> None:
        """Make a dead letter of a record when it is read again, because outputs reject it.

        Args:
            place: Partition and offset of the record.
            rejection: Reason code and detail of the dead letter.

        """

    def unreadable(self, partition: int, following: int) -> str:
        """Skip a batch that the client cannot read; one dead letter replaces it.

        Args:
            partition: Number of the partition.
            following: Offset after the batch.

        Returns:
            Topic of the dead letter.

        """

    def note(self, partition: int) -> str:
        """Return the metadata to commit with the offset, for the next reader of the partition."""

    def same_topic(self, now: TopicIdentity) -> bool:
        """True if the topic whose records were read still exists under its name."""

    def passed(self, consumer: GroupConsumer, unread: set[int]) -> list[TopicPartition]:
        """Find offsets to commit although no record came; called often while nothing is pending.

        Args:
            consumer: Consumer of the stream.
            unread: Partitions without a record since they were assigned or rewound.

        """

    def look_up_again(self, consumer: GroupConsumer, partitions: list[int]) -> None:
        """Find again where to resume partitions whose log has changed.

        They are fetched from that offset, which may be before or after the position of the
        stream.
        """

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Take note that all processed so far is committed, with these next offsets.

        Args:
            offsets: By partition.

        """

    def rewound(self, committed: Mapping[int, int]) -> dict[int, int]:
        """Take note of what is committed after a rewind.

        Args:
            committed: Next offset by partition, below 0 where there is none.

        Returns:
            Where partitions resume instead whose committed offset belongs to another log.

        """

    def aborted(self) -> None:
        """Handle an abort: records processed since the last commit will come again."""

    def between_transactions(self, consumer: GroupConsumer) -> bool:
        """Do work that must wait for the end of a transaction; called often, also when idle.

        Returns:
            True if more work is waiting, so that the loop must not wait for records.

        """


class Health(Heartbeat):
    """Data of the loop for the probes."""

    def __init__(self) -> None:
        super().__init__(STANDSTILL_SECONDS)
        self.assigned = False
