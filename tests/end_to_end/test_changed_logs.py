"""The committed offset and the log disagree: what is there is judged once, and what is not is told.

Real detectors and a real broker; one test has a broker of its own, which it restarts.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from tests.end_to_end.test_windows_from_the_log import RULE, counts, page, payments
from tests.support.kafka import make_topics
from tests.support.streaming import (
    Service,
    Topics,
    delete_before,
    produce,
    read_all,
    until,
    wait_for,
)
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kafka

Short = dict[str, Any]


@pytest.fixture
def detector(broker: Broker, topics: Topics, tmp_path: Path) -> Service:
    """A detector with a rule over an hour, not started."""
    return service(broker, topics, tmp_path)


def service(broker: Broker, topics: Topics, folder: Path) -> Service:
    (folder / "many.yaml").write_text(RULE, encoding="utf-8")
    # A static member would be in the group after its end, which then refuses commits from outside.
    more = {"RULES_PATH": str(folder / "many.yaml"), "INSTANCE_ID": ""}
    environment = topics.environment(broker) | more
    return Service("detector", environment, folder / "log")


def start_again(detector: Service) -> None:
    """Start, and wait until the process tells its port, which is another one."""
    before = len(detector.lines("started"))
    detector.start()
    until(lambda: len(detector.lines("started")) > before, "started again")


def write(broker: Broker, topics: Topics, n: int, partition: int = 0) -> None:
    produce(broker, topics.transactions, payments("alice", n), partition=partition)


def committed(broker: Broker, topics: Topics, partition: int = 0) -> TopicPartition:
    group = {"bootstrap.servers": broker.bootstrap, "group.id": f"group-{topics.transactions}"}
    consumer = Consumer(group)
    (found,) = consumer.committed([TopicPartition(topics.transactions, partition)], 30)
    consumer.close()
    return found


def commit(
    broker: Broker, topics: Topics, before: TopicPartition, offset: int, epoch: int = -1
) -> None:
    """Commit an offset of partition 0 with the metadata of before, as of another log."""
    place = TopicPartition(topics.transactions, 0, offset, before.metadata, epoch)
    group = {"bootstrap.servers": broker.bootstrap, "group.id": f"group-{topics.transactions}"}
    consumer = Consumer(group)

    def done() -> bool:
        try:
            consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException:  # while the group has members, or the topic is not known everywhere
            return False
        return True

    until(done, "an offset is committed from outside")
    consumer.close()


def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap})


def delete(broker: Broker, topic: str) -> None:
    client = admin(broker)
    (deleted,) = client.delete_topics([topic]).values()
    deleted.result(60)


def recreate(broker: Broker, topics: Topics) -> None:
    delete(broker, topics.transactions)

    def created() -> bool:
        try:
            create_topics(broker.bootstrap, {topics.transactions: 4})
        except KafkaException:  # while the old one is being deleted
            return False
        return True

    until(created, "the topic is created again")


def recreate_under_a_commit(broker: Broker, topics: Topics, records: int) -> None:
    """Create the topic again with some records, and what was committed of it.

    With the topic Kafka deletes what was committed, unless it is committed only then.
    """
    before = committed(broker, topics)
    recreate(broker, topics)
    commit(broker, topics, before, 6)
    write(broker, topics, records)


def short(detector: Service, partition: int = 0) -> Short:
    """What the detector says of a partition whose windows lack records."""

    def told() -> Short:
        found = page(detector)["windows"]["short"]
        return next((one for one in found if one["partition"] == partition), {})

    return until(told, f"windows of partition {partition} lack records")


def metric(detector: Service, text: str) -> None:
    until(lambda: text in detector.get("/metrics")[1], text)


def judged(detector: Service, broker: Broker, topics: Topics, n: int) -> list[int]:
    assert detector.alive
    return counts(wait_for(broker, topics.outputs, n))


def test_records_that_were_deleted_unjudged_are_counted_and_told(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert detector.stop() == 0
        write(broker, topics, 6)
        delete_before(broker, topics.transactions, 0, 9)
        start_again(detector)
        assert judged(detector, broker, topics, 9) == [1, 1, 2, 2, 3, 3, 4, 5, 6]
        assert short(detector)["reason"] == "RecordsDeleted"
        (said,) = detector.lines("the log is not what was committed")
        assert (said["committed"], said["goes_on_at"], said["deleted_at_most"]) == (6, 9, 3)
        metric(detector, "fraud_deleted_unjudged_offsets_total 3.0")
        metric(
            detector, 'fraud_log_changed_timestamp_seconds{partition="0",reason="RecordsDeleted"}'
        )
        # What windows lack is known after a restart too, and not counted again.
        assert detector.stop() == 0
        start_again(detector)
        assert short(detector)["reason"] == "RecordsDeleted"
        metric(detector, "fraud_deleted_unjudged_offsets_total 0.0")


def test_a_log_that_begins_where_was_committed_leaves_windows_short(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert detector.stop() == 0
        delete_before(broker, topics.transactions, 0, 6)
        start_again(detector)
        assert short(detector) == {"partition": 0, "reason": "RetentionTooShort", "until": None}
        write(broker, topics, 1)
        assert judged(detector, broker, topics, 7) == [1, 1, 2, 3, 4, 5, 6]
        until(lambda: short(detector)["until"], "it is known until when")


def test_a_detector_resumes_on_a_cut_log_without_a_look_outside_of_it(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    """Retention deletes the beginning of each log, so each rebalance meets this."""
    for partition in range(4):
        write(broker, topics, 6, partition)
    with detector:
        wait_for(broker, topics.outputs, 24)
        for partition in range(4):
            delete_before(broker, topics.transactions, partition, 5)
        for written in range(1, 4):
            assert detector.stop() == 0
            start_again(detector)
            write(broker, topics, 1)
            wait_for(broker, topics.outputs, 24 + written)
    assert detector.lines("out of the log") == []
    assert detector.lines("session ended") == []


@pytest.mark.parametrize("records", [2, 9])
def test_a_topic_created_again_while_nothing_runs_is_judged_from_its_beginning(
    broker: Broker, topics: Topics, detector: Service, records: int
) -> None:
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert detector.stop() == 0
        recreate_under_a_commit(broker, topics, records)
        start_again(detector)
        found = judged(detector, broker, topics, 6 + records)
        assert found == sorted([*range(1, 7), *range(1, records + 1)])
        assert short(detector)["reason"] == "TopicRecreated"


@pytest.mark.parametrize("records", [2, 20], ids=["fewer", "more"])
def test_a_topic_created_again_while_a_detector_runs_is_judged_from_its_beginning(
    broker: Broker, topics: Topics, detector: Service, records: int
) -> None:
    """The detector stands still meanwhile, so it goes on with the offset that it had before."""
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        os.kill(detector.pid, signal.SIGSTOP)
        recreate(broker, topics)
        write(broker, topics, records)
        os.kill(detector.pid, signal.SIGCONT)
        found = judged(detector, broker, topics, 6 + records)
        assert found == sorted([*range(1, 7), *range(1, records + 1)])
        assert short(detector)["reason"] == "TopicRecreated"
        write(broker, topics, 1)
        found = judged(detector, broker, topics, 7 + records)
        assert found == sorted([*range(1, 7), *range(1, records + 2)])


def test_a_log_that_ends_before_what_was_committed_goes_on_at_its_end(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert detector.stop() == 0
        commit(broker, topics, committed(broker, topics), 50)
        start_again(detector)
        assert short(detector)["reason"] == "LogTruncated"
        write(broker, topics, 1)
        assert judged(detector, broker, topics, 7) == [1, 2, 3, 4, 5, 6, 7]


def test_a_log_that_was_written_again_is_judged_from_there(tmp_path: Path) -> None:
    """Records before the committed offset have a later leader's epoch. Takes two broker starts."""
    with Broker() as broker:
        stopped = []
        for end in (9, 50):  # within the log that was written again, and beyond its end
            (folder := tmp_path / str(end)).mkdir()
            topics = make_topics(broker)
            detector = service(broker, topics, folder)
            write(broker, topics, 6)
            with detector:
                wait_for(broker, topics.outputs, 6)
                assert detector.stop() == 0
            stopped.append((end, topics, detector, committed(broker, topics)))
        broker.stop()
        broker.start()
        for end, topics, detector, before in stopped:
            assert before.leader_epoch is not None
            assert before.leader_epoch >= 0
            write(broker, topics, 4)
            commit(broker, topics, before, end, before.leader_epoch)
            with detector:
                # The windows have the six, and the four are judged, though the first three of them
                # lie before the committed offset.
                assert judged(detector, broker, topics, 10) == list(range(1, 11))
                (said,) = detector.lines("the log is not what was committed")
                assert (said["reason"], said["goes_on_at"]) == ("LogTruncated", 6)


@pytest.mark.parametrize("records", [4, 9])
def test_a_transaction_that_fails_goes_back_to_where_a_changed_log_begins(
    broker: Broker, topics: Topics, tmp_path: Path, records: int
) -> None:
    """The committed offset is of the log before until the first commit."""
    detector = service(broker, topics, tmp_path)
    write(broker, topics, 6)
    with detector:
        wait_for(broker, topics.outputs, 6)
        assert detector.stop() == 0
        recreate_under_a_commit(broker, topics, records)
        detector.start("tests.end_to_end.first_commit_fails")
        found = judged(detector, broker, topics, 6 + records)
        assert found == sorted([*range(1, 7), *range(1, records + 1)])
        assert detector.lines("transaction aborted")


def test_partitions_that_are_added_leave_windows_short(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    write(broker, topics, 3)
    with detector:
        wait_for(broker, topics.outputs, 3)
        assert detector.stop() == 0
        client = admin(broker)
        (added,) = client.create_partitions([NewPartitions(topics.transactions, 5)]).values()
        added.result(60)
        start_again(detector)
        assert short(detector)["reason"] == "PartitionsAdded"
        assert short(detector, 4)["reason"] == "PartitionsAdded"


def test_a_compacted_input_is_told(broker: Broker, tmp_path: Path) -> None:
    topics = make_topics(broker)
    compacted = Topics(f"{topics.transactions}.compacted", *topics.outputs)
    create_topics(broker.bootstrap, {compacted.transactions: 1}, {"cleanup.policy": "compact"})
    detector = service(broker, compacted, tmp_path)
    with detector:
        assert short(detector)["reason"] == "TopicCompacted"
        assert detector.lines(
            "the input topic is compacted, so windows miss the records that are removed: set its "
            "cleanup.policy to delete"
        )


def test_markers_and_aborted_records_at_the_end_are_no_lag(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": "outside"})
    producer.init_transactions(60)

    def transact(*, kept: bool) -> None:
        producer.begin_transaction()
        for key, value in payments("alice", 5):
            producer.produce(topics.transactions, value, key, partition=0)
        assert producer.flush(60) == 0
        (producer.commit_transaction if kept else producer.abort_transaction)(60)

    none = f'fraud_consumer_lag_records{{partition="0",topic="{topics.transactions}"}} 0.0'
    with detector:
        transact(kept=True)
        wait_for(broker, topics.outputs, 5)
        transact(kept=False)
        until(lambda: committed(broker, topics).offset == 12, "the aborted ones are passed")
        metric(detector, none)
        assert detector.stop() == 0
        transact(kept=False)
        start_again(detector)
        until(lambda: committed(broker, topics).offset == 18, "they are passed after a start too")
        metric(detector, none)
        transact(kept=True)
        assert judged(detector, broker, topics, 10) == list(range(1, 11))
    assert len(read_all(broker, topics.outputs)) == 10


def test_one_clock_that_is_ahead_makes_no_transaction_of_others_late(
    broker: Broker, topics: Topics, detector: Service
) -> None:
    ahead_ms = time.time_ns() // 1_000_000 + 3_500_000
    with detector:
        write(broker, topics, 3)
        produce(
            broker, topics.transactions, payments("mallory", 1), partition=0, timestamp=ahead_ms
        )
        produce(broker, topics.transactions, payments("bob", 20), partition=0)
        wait_for(broker, topics.outputs, 24)
        assert read_all(broker, [topics.dead_letters]) == []
