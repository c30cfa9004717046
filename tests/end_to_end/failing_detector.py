"""A detector whose transactions often fail at the end, as when a rebalance overtakes a commit."""

from __future__ import annotations

import random
import sys

from confluent_kafka import KafkaError, KafkaException

from services.detector.__main__ import main
from services.streams.session import Session


def fail_sometimes() -> None:
    """Make every fourth commit or so fail, before or after it reached the broker."""
    commit = Session._commit
    rng = random.Random(4)

    def failing(session: Session) -> None:
        fate = rng.random()
        if fate < 0.15:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "made by the test"))
        commit(session)
        if fate < 0.3:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "made by the test"))

    Session._commit = failing  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    fail_sometimes()
    sys.exit(main())
