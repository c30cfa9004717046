"""Whether the input topic is keyed as declared: a sample of keys against the field.

A window is right only if all of a key's transactions meet in one partition. So
where records are keyed by something else, it is said, and not silently wrong.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from services.telemetry import metrics

if TYPE_CHECKING:
    from services.detector.reading import Read
    from services.streams.processing import Batch

log = structlog.get_logger()

SAY_EVERY_SECONDS = 60.0
_MOST_SHOWN = 40


class Keying:
    """Compares one record a batch.

    Args:
        field: that the topic is keyed by, "none" for a topic without keys.

    """

    def __init__(self, field: str) -> None:
        self.field = field
        self.sampled = 0
        self.mismatched = 0
        self._said_at = -SAY_EVERY_SECONDS

    def sample(self, batch: Batch, read: Read) -> None:
        """Compare the key of the batch's first transaction with its field."""
        if self.field == "none" or not read.transactions:
            return
        value = getattr(read.transactions[0], self.field)
        key = batch.messages[read.places[0] if read.places else 0].key()
        self.sampled += 1
        if _same(key, value):
            metrics.KEYS.labels("match").inc()
            return
        self.mismatched += 1
        metrics.KEYS.labels("mismatch").inc()
        if time.monotonic() - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning(
                "records are not keyed as declared: windows may miss some; "
                "set KEYED_BY to what they are keyed by, or mend the producer",
                keyed_by=self.field,
                key=_shown(key),
                expected=_shown(value),
                sampled=self.sampled,
                mismatched=self.mismatched,
            )

    def page(self) -> dict[str, Any]:
        """What `/ruleset` tells of it."""
        return {"field": self.field, "sampled": self.sampled, "mismatched": self.mismatched}


def _same(key: bytes | None, value: object) -> bool:
    return key == (None if value is None else str(value).encode())


def _shown(value: object) -> str:
    return repr(value)[:_MOST_SHOWN]
