"""A detector with a broken loop: it commits how far it read before its verdicts are written.

For the test that shows the checker to fail. Everything else is the real
detector. Verdicts wait for half a second in the producer, so that a kill is
all but sure to come in between.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from services.detector.__main__ import main
from services.streams.session import Session
from services.streams.stream import Stream

if TYPE_CHECKING:
    from services.streams.clients import Config

_producer_config = Stream.producer_config


def _lingering(self: Stream) -> Config:
    return _producer_config(self) | {"linger.ms": 500}


def _commit_without_writing(self: Session) -> None:
    self._consumer.commit(offsets=self._positions, asynchronous=False)
    self.pending = 0
    self._processor.committed({p.partition: p.offset for p in self._positions})


Stream.producer_config = _lingering  # type: ignore[method-assign]
Session._commit = _commit_without_writing  # type: ignore[method-assign]
sys.exit(main())
