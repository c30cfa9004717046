"""A real broker for the session, and topics of its own for each test."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.support.streaming import Topics
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 4
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker, started on first use, ended with the session."""
    with Broker() as running:
        yield running


@pytest.fixture
def topics(broker: Broker) -> Topics:
    """Fresh topics for one test."""
    return make_topics(broker)


def make_topics(broker: Broker, **settings: str) -> Topics:
    """Create an input topic and the output topics, under names of their own.

    Args:
        broker: that gets them.
        settings: more settings of all of them, with underscores for dots.

    """
    names = Topics.numbered(next(_numbers))
    config = {"max.message.bytes": str(2 * 1024 * 1024)}
    config |= {name.replace("_", "."): value for name, value in settings.items()}
    create_topics(broker.bootstrap, dict.fromkeys(names, PARTITIONS), config)
    return names
