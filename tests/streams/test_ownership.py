"""Which partitions of a group have no owner."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from services.streams.ownership import assigned, unowned


def assignment(**partitions: list[int]) -> bytes:
    """A member's assignment, as the protocol has it, with a little user data at its end."""
    parts = [struct.pack(">hi", 1, len(partitions))]
    for topic, numbers in partitions.items():
        parts.append(struct.pack(f">h{len(topic)}si", len(topic), topic.encode(), len(numbers)))
        parts += [struct.pack(">i", number) for number in numbers]
    return b"".join([*parts, struct.pack(">i2s", 2, b"xy")])


def group(state: str, *shares: dict[str, list[int]]) -> Any:
    """Describe a group whose members have these partitions."""
    members = [SimpleNamespace(assignment=assignment(**share)) for share in shares]
    return SimpleNamespace(state=state, members=members)


@pytest.mark.parametrize(
    ("shares", "without"),
    [
        ([{"queue": [0, 1]}, {"queue": [2]}], set()),
        ([{"queue": [0]}, {}], {1, 2}),
        ([{"queue": [0, 2], "other": [1]}], {1}),
        ([{"other": [0, 1, 2]}], {0, 1, 2}),
        ([], set()),
    ],
)
def test_what_no_member_has_is_without_an_owner(
    shares: list[dict[str, list[int]]], without: set[int]
) -> None:
    assert unowned(group("Stable", *shares), "queue", 3) == without


@pytest.mark.parametrize("state", ["PreparingRebalance", "CompletingRebalance", "Empty", "Dead"])
def test_a_group_that_is_not_settled_is_left_alone(state: str) -> None:
    assert unowned(group(state, {}), "queue", 3) == set()


def test_a_member_without_an_assignment_has_nothing() -> None:
    assert assigned(b"", "queue") == []
