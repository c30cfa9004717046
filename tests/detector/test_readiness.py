"""A detector is ready with its first windows, and stays so while it has partitions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from services.detector.partitions import Partition, Partitions
from services.detector.reading import Reader
from services.rules.partition_windows import PartitionWindows
from services.settings import KafkaSettings
from services.streams.commits import Commits
from services.streams.stream import Stream
from tests.support.rules import COMPILER, ruleset

if TYPE_CHECKING:
    from services.streams.group_consumer import GroupConsumer

STREAM = Stream(settings=KafkaSettings(), topic="transactions", group="g", client_id="c")


def test_it_is_ready_with_its_first_windows_and_stays_so_while_it_has_partitions() -> None:
    nobody = cast("GroupConsumer", None)
    rules = ruleset()
    reader = Reader(COMPILER.schema, max_future_ms=0, max_late_ms=0)
    partitions = Partitions(STREAM, rules, reader, Commits())

    partitions._ask_at = math.inf  # nothing is looked up: there is no broker

    def become_ready(number: int) -> None:
        partitions._new.remove(number)
        partitions.ready[number] = Partition(PartitionWindows(rules.windows, 0), 0)
        partitions._begun.append(number)
        partitions.turn(nobody, rules)

    def rebuilding() -> bool:
        return partitions.rebuilding

    partitions.assigned([0, 1])
    assert rebuilding()
    become_ready(0)
    assert rebuilding()
    become_ready(1)
    assert not rebuilding()
    partitions.assigned([2])
    assert not rebuilding()
    partitions.revoked([0])
    assert not rebuilding()
    partitions.revoked([1, 2])
    partitions.assigned([0])
    assert rebuilding()
