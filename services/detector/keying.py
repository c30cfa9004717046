"""Check that the input topic is keyed as declared: a sample of keys is compared with the field.

A window is exact only if all transactions of a key are in one partition. If records have
other keys, this is reported, because the values would be wrong without any other sign.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from services.rules.keys import NO_KEY
from services.telemetry import metrics

if TYPE_CHECKING:
    from services.detector.reading import Read
    from services.streams.processing import Batch

log = structlog.get_logger()

SAY_EVERY_SECONDS = 60.0
# Number of samples that count: after a producer is corrected, its old samples are forgotten.
SAMPLES = 500
_MOST_SHOWN = 40


class Keying:
    """Compares the key of one record a batch with the field.

    Args:
        field: Name of the field that the topic is keyed by, "none" for a topic without keys.

    """

    def __init__(self, field: str) -> None:
        self.field = field
        self._samples: deque[bool] = deque(maxlen=SAMPLES)
        self._counters = metrics.KEYS.labels("mismatch"), metrics.KEYS.labels("match")
        self._turn = 0
        self._said_at = -SAY_EVERY_SECONDS

    @property
    def mismatched(self) -> int:
        """Number of samples, of the latest ones, with another key than the field."""
        return self._samples.count(False)

    def sample(self, batch: Batch, read: Read) -> None:
        """Compare the key of one of the batch's records with its field, if it is a transaction."""
        self._turn += 1
        row = self._turn % len(batch.messages)
        if self.field == NO_KEY or not read.columns.accepted[row]:
            return
        value = getattr(read.transaction(row), self.field)
        key = batch.messages[row].key()
        same = key == _key_of(value)
        self._samples.append(same)
        self._counters[same].inc()
        if same:
            return
        if time.monotonic() - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning(
                "records are not keyed as declared: windows may miss some; "
                "set KEYED_BY to what they are keyed by, or correct the producer",
                keyed_by=self.field,
                key=_shown(key),
                expected=_shown(value),
                sampled=len(self._samples),
                mismatched=self.mismatched,
            )

    def page(self) -> dict[str, Any]:
        """Return this check's part of the `/ruleset` page."""
        return {
            "field": self.field,
            "sampled": len(self._samples),
            "mismatched": self.mismatched,
        }


def _key_of(value: object) -> bytes | None:
    """Return the key that a producer writes for a value: text as it is, else the JSON text."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def _shown(value: object) -> str:
    return repr(value)[:_MOST_SHOWN]
