"""A detector whose first commit fails, as it does when a rebalance overtakes it."""

from __future__ import annotations

import itertools
import sys

from confluent_kafka import KafkaError, KafkaException

from services.detector.__main__ import main
from services.streams.session import Session

_commit = Session._commit
_numbers = itertools.count()


def _fail_once(self: Session) -> None:
    if next(_numbers) == 0:
        raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "for a test"))
    _commit(self)


Session._commit = _fail_once  # type: ignore[method-assign]
sys.exit(main())
