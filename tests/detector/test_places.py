"""Where a partition goes on, of all ways in which log and commit agree or do not."""

from __future__ import annotations

import pytest

from services.detector import offset_metadata
from services.detector.offset_metadata import OffsetMetadata
from services.detector.places import Gap, Place, later, place
from services.detector.stream_time import Mark
from services.streams.identity import TopicIdentity

SAME, ANOTHER, UNKNOWN = (OffsetMetadata(1, topic_id=i) for i in ("id", "another", None))
DELETED, TRUNCATED = Gap("RecordsDeleted"), Gap("LogTruncated")


@pytest.mark.parametrize(
    ("committed", "metadata", "rewritten", "expected"),
    [
        (-1001, UNKNOWN, None, Place(10)),
        (15, SAME, None, Place(15)),
        (15, UNKNOWN, None, Place(15)),
        (10, SAME, None, Place(10)),
        (20, SAME, None, Place(20)),
        (7, SAME, None, Place(10, DELETED, changed=True, deleted=3)),
        (21, SAME, None, Place(20, TRUNCATED, changed=True)),
        (15, SAME, 12, Place(12, TRUNCATED, changed=True)),
        *(
            (n, ANOTHER, None, Place(10, Gap("TopicRecreated"), changed=True, deleted=10))
            for n in (7, 15, 21)
        ),
    ],
)
def test_a_partition_goes_on_where_nothing_is_judged_twice_and_all_that_is_there_once(
    committed: int, metadata: OffsetMetadata, rewritten: int | None, expected: Place
) -> None:
    assert place(committed, metadata, "id", (10, 20), rewritten) == expected


def test_what_windows_lack_is_known_from_the_metadata() -> None:
    for gap in (Gap("TopicRecreated", 5), Gap("LogTruncated"), None):
        text = offset_metadata.write(Mark(7, 0), TopicIdentity("id", 3), gap)
        metadata = offset_metadata.read(text)
        assert (metadata.topic_id, metadata.partitions, metadata.gap) == ("id", 3, gap)
        assert place(15, metadata, "id", (10, 20), None) == Place(15, gap)
        assert len(text) < 300
    assert OffsetMetadata(1, gap_reason="of a later version").gap is None


def test_of_two_gaps_the_one_that_lasts_longer_counts() -> None:
    early, late, open_end = Gap("LogTruncated", 5), Gap("RetentionTooShort", 6), Gap("LogTruncated")
    assert later(None, early) == later(early, None) == early
    assert later(early, late) == later(late, early) == late
    assert later(late, open_end) == later(open_end, late) == open_end
    assert later(None, None) is None
