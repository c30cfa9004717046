"""Records whose Kafka transaction is given up: what is decided of them when they come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from services.detector import offset_metadata
from services.detector.judge import Judge
from services.detector.keying import Keying
from services.detector.offset_metadata import OffsetMetadata
from services.detector.outcomes import Topics
from services.detector.partitions import Partition, Partitions
from services.detector.reading import Reader
from services.detector.stream_time import NEVER, Mark, StreamTime
from services.rules import Compiler, Ruleset
from services.rules.partition_windows import PartitionWindows
from services.streams.identity import TopicIdentity
from services.telemetry import metrics
from services.transactions import load_schema
from tests.detector.records import AT_MS, batch, record
from tests.support.rules import rule

if TYPE_CHECKING:
    from services.detector.ruleset_source import RulesetSource
    from services.streams.processing import Batch

COMPILER = Compiler(load_schema(None))
PAYMENTS = {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"}
RULES = [rule("third", "payments >= 3", aggregates=[PAYMENTS])]


BLOCK = 4


class Ready:
    """Partitions that are ready, without a broker."""

    def __init__(self, ruleset: Ruleset, count: int) -> None:
        self.ruleset = ruleset
        self.warming = ()
        self.stream_times = {p: StreamTime(0, size=BLOCK) for p in range(count)}
        self.topic = TopicIdentity("id", 4)
        self.ready = {
            p: Partition(PartitionWindows(ruleset.windows, 1000), 0) for p in range(count)
        }

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        for partition in partitions:
            del self.ready[partition], self.stream_times[partition]


def judge(count: int = 2) -> Judge:
    ruleset = Ruleset([COMPILER.compile(r) for r in RULES], COMPILER.environment)
    reader = Reader(COMPILER.schema, max_future_ms=10**6, max_late_ms=1000, block_records=BLOCK)
    partitions = cast("Partitions", Ready(ruleset, count))
    topics = Topics("legit", "fraud", "dead")
    return Judge(reader, cast("RulesetSource", None), partitions, topics, Keying("source"))


def went(judging: Judge, made: Batch) -> list[tuple[str, int | None]]:
    """The topic of each, and how many payments the window had."""
    found = []
    for topic, headers in judging.process(made):
        told: Any = (
            msgspec.json.decode(headers[0][1] or b"") if headers and topic == "fraud" else {}
        )
        matches = told.get("matches")
        found.append((topic, matches[0]["aggregates"]["payments"] if matches else None))
    return found


def payments(*offsets: int, partition: int = 0, step_ms: int = 0) -> Batch:
    return batch(*(record(o, partition, timestamp=AT_MS + o * step_ms) for o in offsets))


def test_windows_have_a_record_once_however_often_it_comes() -> None:
    judging = judge()
    first = went(judging, payments(0, 1, 2, 3))
    for _ in range(3):
        judging.aborted()
        assert went(judging, payments(0, 1, 2, 3)) == first
    judging.committed({})
    assert went(judging, payments(4)) == [("fraud", 5)]


def test_what_comes_again_in_other_batches_with_new_ones_is_told_apart() -> None:
    judging = judge()
    went(judging, payments(0, 1, 2))
    judging.aborted()
    assert went(judging, payments(0)) == [("legit", None)]
    assert went(judging, payments(1, 2, 3)) == [("legit", None), ("fraud", 3), ("fraud", 4)]
    judging.aborted()
    assert went(judging, payments(0, 1, 2, 3, 4))[2:] == [("fraud", 3), ("fraud", 4), ("fraud", 5)]


def test_what_was_committed_after_all_does_not_come_and_is_not_waited_for() -> None:
    judging = judge()
    went(judging, payments(0, 1, 2))
    judging.aborted()
    assert went(judging, payments(3)) == [("fraud", 4)]
    assert not judging._again


def test_what_was_committed_after_all_is_counted_and_no_lag() -> None:
    def counted() -> float:
        return float(metrics.TRANSACTIONS.labels("legit")._value.get())

    judging, before = judge(), counted()
    went(judging, payments(0, 1))
    judging.aborted()
    assert judging.rewound({0: 2, 1: -2}) == {}
    assert not judging._again
    assert counted() - before == 2
    assert judging._partitions.ready[0].committed == 2
    assert went(judging, payments(2)) == [("fraud", 3)]


def test_a_commit_is_of_its_partitions_alone() -> None:
    judging = judge()
    went(judging, batch(*payments(0, 1).messages, *payments(0, partition=1).messages))
    judging.committed({1: 1})
    assert [judging._partitions.ready[p].committed for p in (0, 1)] == [0, 1]


def test_a_partition_whose_committed_offset_is_of_another_log_goes_back_to_where_it_began() -> None:
    judging = judge()
    judging._partitions.ready[0].moved_to = 0
    first = went(judging, payments(0, 1, 2))
    judging.aborted()
    assert judging.rewound({0: 6, 1: -2}) == {0: 0}
    assert went(judging, payments(0, 1, 2)) == first
    judging.committed({0: 3})
    went(judging, payments(3))
    judging.aborted()
    assert judging.rewound({0: 3}) == {}


def test_of_a_partition_that_was_lost_nothing_is_kept() -> None:
    judging = judge()
    went(judging, batch(*payments(0, 1).messages, *payments(0, 1, 2, partition=1).messages))
    judging.revoked([1])
    judging.aborted()
    assert {at[0] for at in judging._again} == {0}


def test_the_money_of_frauds_is_counted_once_and_with_the_commit() -> None:
    def stopped() -> float:
        return float(metrics.STOPPED.labels("USD")._value.get())

    judging, before = judge(), stopped()
    made = [record(n, amount=10.0**n, timestamp=AT_MS) for n in range(1, 6)]
    went(judging, batch(*made))
    judging.aborted()
    assert stopped() == before
    went(judging, batch(*made[:3]))
    judging.committed({})
    assert stopped() - before == 1000.0
    went(judging, batch(*made[3:]))
    judging.committed({})
    assert stopped() - before == 111_000.0


def test_dead_letters_come_again_as_such() -> None:
    judging = judge()
    made = [record(n, timestamp=AT_MS) for n in range(BLOCK)]
    made += [record(BLOCK, timestamp=AT_MS - 5000), record(BLOCK + 1, value=b"{")]
    first = went(judging, batch(*made))
    assert [topic for topic, _ in first[BLOCK:]] == ["dead", "dead"]
    judging.aborted()
    assert went(judging, batch(*made)) == first


def test_the_metadata_of_an_offset_leads_back_to_its_stream_time_also_after_an_abort() -> None:
    def written(time_ms: int, block: int) -> str:
        return offset_metadata.write(Mark(time_ms, block), TopicIdentity("id", 4))

    judging = judge()
    went(judging, payments(0, 1, 2, step_ms=100))
    judging.committed({})
    assert judging.note(0) == written(NEVER, 0)
    went(judging, payments(3, 4, 5, step_ms=100))
    assert judging.note(0) == written(AT_MS + 100, BLOCK)
    judging.aborted()
    assert judging.note(0) == written(NEVER, 0)
    went(judging, payments(3, 4, step_ms=100))
    assert judging.note(0) == written(NEVER, 0)
    went(judging, payments(5, 6, step_ms=100))
    assert judging.note(0) == written(AT_MS + 100, BLOCK)
    assert judging.note(1) == written(NEVER, 0)


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "{}", '{"streamTime": "x"}', "stale note", '{"v": 2, "block": 4}']
)
def test_metadata_of_others_tells_nothing(text: str | None) -> None:
    assert offset_metadata.read(text) == OffsetMetadata()
    assert offset_metadata.read(text).mark(9, BLOCK) == Mark(NEVER, 8)


def test_metadata_is_read_as_it_was_written() -> None:
    for mark in (Mark(AT_MS, 4096), Mark(NEVER, 0)):
        text = offset_metadata.write(mark)
        assert offset_metadata.read(text).mark(5000, BLOCK) == mark
    before = offset_metadata.read(f'{{"streamTime":{AT_MS}}}')
    assert before.mark(9, BLOCK) == Mark(AT_MS, 8)
