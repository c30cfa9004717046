from __future__ import annotations

from confluent_kafka import TopicPartition
from structlog.testing import capture_logs

from services.streams.commits import Commits
from services.telemetry import metrics


def forgotten() -> float:
    return float(metrics.COMMITS_FORGOTTEN._value.get())


def test_an_older_offset_than_the_committed_one_is_reported_once() -> None:
    commits, before = Commits(), forgotten()
    commits.committed([TopicPartition("t", 0, 50)])
    with capture_logs() as logs:
        commits.check(TopicPartition("t", 0, 40))
        commits.check(TopicPartition("t", 0, 40))
    assert forgotten() == before + 1
    assert [(line["committed"], line["found"], line["judged_twice_at_most"]) for line in logs] == [
        (50, 40, 10)
    ]


def test_the_committed_offset_a_later_one_and_other_partitions_are_fine() -> None:
    commits, before = Commits(), forgotten()
    commits.committed([TopicPartition("t", 0, 50)])
    for place in (TopicPartition("t", 0, 50), TopicPartition("t", 0, 60), TopicPartition("t", 1)):
        commits.check(place)
    assert forgotten() == before


def test_the_offsets_of_a_topic_that_was_made_again_may_begin_at_0() -> None:
    commits, before = Commits(), forgotten()
    commits.committed([TopicPartition("t", 0, 50)])
    commits.forget([0])
    commits.check(TopicPartition("t", 0, -1001))
    assert forgotten() == before
