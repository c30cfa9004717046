"""Decide where a partition resumes and what its windows lack, if log and commit disagree.

    the log       [low ........ high)
    committed  C1       C2            C3

C2 is the normal case. C1: the records between C1 and low were deleted before they
were judged. C3: the log lost its end. If the topic's id is not the committed one, the
topic was deleted and created again, and its offsets have no relation to C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from services.detector.offset_metadata import OffsetMetadata

Reason = Literal[
    "RetentionTooShort",
    "RecordsDeleted",
    "LogTruncated",
    "TopicRecreated",
    "PartitionsAdded",
    "TopicCompacted",
]


class Gap(NamedTuple):
    """Records that belong into a partition's windows are missing.

    None of them has a timestamp after `from_ms` (a record's timestamp, epoch ms). It is None
    until the first record after the gap arrives.
    """

    reason: Reason
    from_ms: int | None = None


class Place(NamedTuple):
    """The place at which a partition resumes.

    `changed` is True if the log does not fit the commit. `gap` is what the windows lack from
    now on. `deleted` is the number of offsets that were skipped and never judged. This can be
    more than the number of records, because control records and aborted records have offsets too.
    """

    offset: int
    gap: Gap | None = None
    changed: bool = False
    deleted: int = 0


def place(
    committed: int,
    metadata: OffsetMetadata,
    topic_id: str,
    log: tuple[int, int],
    rewritten: int | None,
) -> Place:
    """Decide where a partition resumes.

    Args:
        committed: The committed offset, negative if there is none.
        metadata: Metadata of that offset.
        topic_id: Kafka's current id of the topic.
        log: First offset of the log, and one past its last.
        rewritten: Offset of the first record before the committed offset that
            was written after the commit; None if there is none.

    """
    low, high = log
    if committed < 0:
        return Place(low)
    if metadata.topic_id is not None and metadata.topic_id != topic_id:
        return Place(low, Gap("TopicRecreated"), changed=True, deleted=low)
    if committed < low:
        return Place(low, Gap("RecordsDeleted"), changed=True, deleted=low - committed)
    if committed > high or rewritten is not None:
        offset = high if rewritten is None else rewritten
        return Place(offset, Gap("LogTruncated"), changed=True)
    return Place(committed, metadata.gap)


def later(one: Gap | None, other: Gap | None) -> Gap | None:
    """Return the gap that lasts longer."""
    if one is None or other is None:
        return one or other
    if one.from_ms is None or other.from_ms is None:
        return one if one.from_ms is None else other
    return max(one, other, key=lambda gap: gap.from_ms or 0)
