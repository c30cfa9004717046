"""What the loop and what it runs know of each other."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, cast

from confluent_kafka import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer

Headers = list[tuple[str, str | bytes | None]]
# Where a record goes, and the headers it gains.
Route = tuple[str, Headers | None]
# A partition, and the places [begin, end) of its records in a batch.
Run = tuple[int, int, int]


# Of a record that was read, it is never None.
_partition = cast("Callable[[Message], int]", Message.partition)


class Batch(NamedTuple):
    """Records as columns, partition by partition, in the order of their offsets.

    Timestamps are epoch ms, 0 where there is none.
    """

    messages: list[Message]
    values: list[bytes | None]
    timestamps_ms: list[int]
    runs: list[Run]

    @classmethod
    def of(cls, messages: list[Message]) -> Self:
        """Make a batch of records; orders them in place."""
        messages.sort(key=_partition)  # 25 ns a record; what comes is almost in order
        values = cast("list[bytes | None]", list(map(Message.value, messages)))
        # A call of max() would cost as much as reading the timestamp.
        timestamps = [ms if ms > 0 else 0 for _, ms in map(Message.timestamp, messages)]  # noqa: FURB136
        runs = []
        begin = 0
        while begin < len(messages):
            partition, _ = place_of(messages[begin])
            end = bisect_right(messages, partition, begin, key=_partition)
            runs.append((partition, begin, end))
            begin = end
        return cls(messages, values, timestamps, runs)


def place_of(message: Message) -> tuple[int, int]:
    """Give the partition and the offset of a record that was read."""
    return cast("tuple[int, int]", (message.partition(), message.offset()))


class Processor(Protocol):
    """What the loop runs: decides where records go, and is told what became of them."""

    def assigned(self, partitions: list[int]) -> None:
        """Take partitions on. They are paused; resume each once its records can be judged."""

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""

    def process(self, batch: Batch) -> list[Route]:
        """Say where each record goes, in order. Never raises for a record's content."""

    def note(self, partition: int) -> str:
        """What to keep with the offset that is committed, for whoever reads on from there."""

    def committed(self) -> None:
        """Take note that all processed so far is committed."""

    def aborted(self) -> None:
        """Take note that what was processed since the last commit comes again."""

    def between_transactions(self, consumer: Consumer) -> bool:
        """Do what has to wait for the end of a transaction; called often, also when idle.

        Returns:
            Whether there is more to be done, and the loop is not to wait for records.

        """


class Health:
    """What the probes ask of the loop."""

    def __init__(self) -> None:
        self.beat = time.monotonic()
        self.assigned = False

    def tick(self) -> None:
        """Show that the loop moves."""
        self.beat = time.monotonic()
