"""Which partitions of a group have no owner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupState, TopicPartition

from services.streams.ownership import unowned


def group(state: ConsumerGroupState, *shares: list[tuple[str, int]]) -> Any:
    """Describe a group whose members have these partitions."""
    places = ([TopicPartition(*place) for place in share] for share in shares)
    members = [SimpleNamespace(assignment=SimpleNamespace(topic_partitions=p)) for p in places]
    return SimpleNamespace(state=state, members=members)


@pytest.mark.parametrize(
    ("shares", "without"),
    [
        ([[("in", 0), ("in", 1)], [("in", 2)]], set()),
        ([[("in", 0)], []], {1, 2}),
        ([[("in", 0), ("in", 2), ("other", 1)]], {1}),
        ([], {0, 1, 2}),
    ],
)
def test_what_no_member_has_is_without_an_owner(
    shares: list[list[tuple[str, int]]], without: set[int]
) -> None:
    assert unowned(group(ConsumerGroupState.STABLE, *shares), "in", 3) == without


def test_a_group_that_is_sharing_out_is_left_alone() -> None:
    assert unowned(group(ConsumerGroupState.PREPARING_REBALANCING), "in", 3) == set()
