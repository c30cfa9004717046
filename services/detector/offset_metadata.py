"""The metadata of a committed offset, as JSON.

    {"v": 1, "streamTime": 1767268800000, "block": 4096,
     "topicId": "or/6NfIIQPWz4K42ucdAKA", "partitions": 12,
     "gap": "RecordsDeleted", "gapUntil": 1767265200000}

`streamTime` is the stream time before the block with the first offset `block` casts its
vote (`services.detector.stream_time`). `topicId` and `partitions` (their number) identify
the topic that the offset belongs to. A gap means that the windows lack records up to a
time (`services.detector.places`). Unknown values are left out. Earlier versions wrote
metadata without `v`, whose stream time is the largest event time. Kafka accepts
4,096 bytes (`offset.metadata.max.bytes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

import msgspec

from services.detector.places import Gap, Reason
from services.detector.stream_time import NEVER, Mark, block_of

if TYPE_CHECKING:
    from services.streams.identity import TopicIdentity

VERSION = 1
_REASONS = frozenset(get_args(Reason))


class OffsetMetadata(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """The metadata of one partition's committed offset; None stands for an unknown value."""

    v: int = 0
    stream_time: int | None = None
    block: int | None = None
    topic_id: str | None = None
    partitions: int | None = None
    gap_reason: str | None = msgspec.field(default=None, name="gap")
    gap_until: int | None = None

    @property
    def gap(self) -> Gap | None:
        """The gap in the windows, None if they lack nothing."""
        if self.gap_reason not in _REASONS:
            return None
        return Gap(cast("Reason", self.gap_reason), self.gap_until)

    def mark(self, offset: int, block_records: int) -> Mark:
        """Return the mark from which a reader finds the stream time at the offset.

        Args:
            offset: The committed offset.
            block_records: Number of offsets in a block of the stream time.

        """
        time_ms = NEVER if self.stream_time is None else self.stream_time
        block = block_of(offset, block_records) if self.block is None else self.block
        return Mark(time_ms, min(block, offset))


def write(mark: Mark, topic: TopicIdentity | None = None, gap: Gap | None = None) -> str:
    """Build the metadata of an offset."""
    metadata = OffsetMetadata(
        VERSION,
        None if mark.time_ms == NEVER else mark.time_ms,
        mark.block,
        topic.topic_id if topic is not None else None,
        topic.partitions if topic is not None else None,
        gap.reason if gap is not None else None,
        gap.from_ms if gap is not None else None,
    )
    return msgspec.json.encode(metadata).decode()


def read(text: str | None) -> OffsetMetadata:
    """Parse the metadata of an offset; text of another tool gives metadata without values."""
    try:
        metadata = msgspec.json.decode(text or "", type=OffsetMetadata)
    except msgspec.MsgspecError:
        return OffsetMetadata()
    return metadata if metadata.v <= VERSION else OffsetMetadata()
