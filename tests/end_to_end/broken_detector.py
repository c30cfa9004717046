"""A detector with a broken loop: it commits how far it read before its verdicts are written.

For the tests that show the checker to fail. Everything else is the real detector.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from services.detector.__main__ import main
from services.streams.delivery import Session

if TYPE_CHECKING:
    from confluent_kafka import Message

_forward = Session._forward


def _commit_first(self: Session, messages: list[Message]) -> None:
    positions = self._consumer.position(self._consumer.assignment())
    self._consumer.commit(offsets=[p for p in positions if p.offset >= 0], asynchronous=False)
    _forward(self, messages)


Session._forward = _commit_first  # type: ignore[method-assign]
sys.exit(main())
