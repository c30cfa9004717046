"""Records that an output topic rejects, and the parts that their dead letters lose.

An output topic may reject a record because of its size after decompression, its timestamp or
its missing key. The record becomes a dead letter. If the dead-letter topic rejects that too, its
timestamp, value, headers and key are removed one after the other. The broker decides
what fits, so no size is computed here: limits apply to compressed batches, and each
topic has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError

from services.transactions import Reason, Rejection

if TYPE_CHECKING:
    from confluent_kafka import Message, TopicPartition

    from services.streams.processing import Headers

Place = tuple[int, int]

# Errors of the broker (or the client) that are caused by a record, not by the broker's state.
RECORD_ERRORS = frozenset(
    {
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
    }
)
PARTS = ("timestamp", "value", "headers", "key")


class Undeliverable(NamedTuple):
    """A record that becomes a dead letter; `left_out` names the parts of `PARTS` that it loses."""

    rejection: Rejection
    left_out: tuple[str, ...] = ()


class Undeliverables(dict[Place, Undeliverable]):
    """Undeliverable records by partition and offset, until they are committed."""

    def reject(self, place: Place, error: KafkaError | Exception) -> Undeliverable | None:
        """Determine the next form of a record that was rejected in its own transaction.

        Args:
            place: Partition and offset of the record.
            error: Error of the broker or of the client.

        Returns:
            The next form; None if there is no part left to remove.

        """
        before = self.get(place)
        left_out = () if before is None else _more(before.left_out, error)
        if left_out is None:
            return None
        self[place] = Undeliverable(Rejection(Reason.OUTPUT_REFUSED, _detail(error)), left_out)
        return self[place]

    def committed(self, positions: list[TopicPartition]) -> None:
        """Forget the records before the committed offsets."""
        if self:
            following = {p.partition: p.offset for p in positions}
            for partition, offset in list(self):
                if offset < following.get(partition, 0):
                    del self[partition, offset]


def _more(left_out: tuple[str, ...], error: KafkaError | Exception) -> tuple[str, ...] | None:
    code = error.code() if isinstance(error, KafkaError) else None
    rest = [part for part in PARTS if part not in left_out]
    if code != KafkaError.INVALID_TIMESTAMP and "timestamp" in rest:
        rest.remove("timestamp")
    return (*left_out, rest[0]) if rest else None


def _detail(error: KafkaError | Exception) -> str:
    found = f"{error.name()}: {error.str()}" if isinstance(error, KafkaError) else repr(error)
    return f"the output rejected the record: {found}"


def size_headers(message: Message, headers: Headers | None, left_out: tuple[str, ...]) -> Headers:
    """Build headers with the sizes of a record's parts and the names of the removed parts.

    Args:
        message: The record as it was read.
        headers: Original headers, None if it has none or they cannot be read.
        left_out: Parts that the dead letter lost.

    Returns:
        `dead-letter.size` (bytes of each part) and, if parts are lost, `dead-letter.left-out`.

    """
    sizes = {
        "value": len(message.value() or b""),
        "headers": sum(len(name.encode()) + len(value or b"") for name, value in headers or ()),
        "key": len(message.key() or b""),
    }
    size = ", ".join(f"{part} {n}" for part, n in sizes.items())
    added: Headers = [("dead-letter.size", size.encode())]
    if left_out:
        added.append(("dead-letter.left-out", ", ".join(left_out).encode()))
    return added
