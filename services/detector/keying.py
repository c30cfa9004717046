"""Whether the input topic is keyed as declared: a sample of keys against the field.

A window is right only if all of a key's transactions meet in one partition. So
where records are keyed by something else, it is said, and not silently wrong.
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
# So many of the last samples are looked at: a producer that was mended is forgiven.
SAMPLES = 500
_MOST_SHOWN = 40


class Keying:
    """Compares one record a batch.

    Args:
        field: that the topic is keyed by, "none" for a topic without keys.

    """

    def __init__(self, field: str) -> None:
        self.field = field
        self._samples: deque[bool] = deque(maxlen=SAMPLES)
        self._turn = 0
        self._said_at = -SAY_EVERY_SECONDS

    @property
    def mismatched(self) -> int:
        """How many of the last samples were keyed by something else."""
        return self._samples.count(False)

    def sample(self, batch: Batch, read: Read) -> None:
        """Compare the key of one of the batch's transactions with its field."""
        if self.field == NO_KEY or not read.transactions:
            return
        self._turn += 1
        i = self._turn % len(read.transactions)
        value = getattr(read.transactions[i], self.field)
        key = batch.messages[i if read.places is None else read.places[i]].key()
        same = key == _key_of(value)
        self._samples.append(same)
        metrics.KEYS.labels("match" if same else "mismatch").inc()
        if same:
            return
        if time.monotonic() - self._said_at >= SAY_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning(
                "records are not keyed as declared: windows may miss some; "
                "set KEYED_BY to what they are keyed by, or mend the producer",
                keyed_by=self.field,
                key=_shown(key),
                expected=_shown(value),
                sampled=len(self._samples),
                mismatched=self.mismatched,
            )

    def page(self) -> dict[str, Any]:
        """What `/ruleset` tells of it."""
        return {
            "field": self.field,
            "sampled": len(self._samples),
            "mismatched": self.mismatched,
        }


def _key_of(value: object) -> bytes | None:
    """What a producer writes as the key: a text as it is, anything else as in JSON."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def _shown(value: object) -> str:
    return repr(value)[:_MOST_SHOWN]
