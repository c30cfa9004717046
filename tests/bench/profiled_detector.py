"""The detector with a clock at each stage of its loop, for `tests.bench.profile_windows`.

    PROFILE_FILE=profile.json PROFILE_AFTER=1000000 python -m tests.bench.profiled_detector

Functions are wrapped, a batch a call, so that the clocks cost next to nothing a
record. A stage's time is the CPU of the loop's thread in it, without that of the
stages it calls. What was spent between `PROFILE_AFTER` records and the last
commit is written at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from services.columns import JsonDecoder
from services.detector import __main__ as detector
from services.detector import judge, keying, outcomes, reading
from services.engine import judging
from services.rules import numbering, partition_windows
from services.streams import processing, session
from services.telemetry import metrics
from services.windows import keys, series

if TYPE_CHECKING:
    from collections.abc import Callable

# Where each stage is: what holds the function, and its name there. The calls of the first count.
_STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "consume": ((session.Session, "_take"),),
    "produce": ((session.Session, "_forward"),),
    "commit": ((session.Session, "_commit"),),
    "decode": ((reading.Reader, "read"),),
    "decode: columns": ((JsonDecoder, "decode"),),
    "event times": (
        (reading, "event_times"),
        (reading, "set_event_times"),
        (reading, "milliseconds"),
    ),
    "look for late ones": ((reading.Reader, "_reject_late"),),
    "compare keys": ((keying.Keying, "sample"),),
    "keys: hash": ((numbering, "halves"), (numbering.Rows, "column")),
    "keys: table": ((numbering.Grouping, "take"), (keys.Keys, "number")),
    "keys: currencies": (
        (numbering.Grouping, "pairs"),
        (numbering.Grouping, "_pair"),
        (numbering.Rows, "currencies"),
    ),
    "columns of amounts": ((partition_windows.PartitionWindows, "_feed"),),
    "series": ((series.Series, "process"),),
    "evict": ((series.Series, "evict"), (partition_windows.PartitionWindows, "forget_before")),
    "values out": (
        (partition_windows.PartitionWindows, "process"),
        (partition_windows.PartitionWindows, "_read"),
    ),
    "rules": ((judging.Engine, "masks"), (judging.Engine, "counted")),
    "routes": ((judge.Judge, "_decide"),),
    "explanations": ((outcomes.Routes, "telling"),),
    "the judge between the stages": ((judge.Judge, "process"),),
    "latencies: to the histogram": ((metrics, "observe_latencies"),),
    "count what is committed": ((judge.Judge, "committed"),),
    "between transactions": ((judge.Judge, "between_transactions"),),
}


class Spent(msgspec.Struct):
    """CPU seconds since the start, and how many records and calls they were for."""

    stages: dict[str, float]
    calls: dict[str, int]
    loop: float
    process: float
    records: int


class Profile(msgspec.Struct):
    """From when it was warm to the last commit."""

    first: Spent
    last: Spent


class Clocks:
    """Adds up what each stage takes.

    Args:
        after: so many records are not looked at.

    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._inner = [0.0]
        self._records = 0
        self._first: Spent | None = None
        self._last: Spent | None = None

    def timed(
        self, stage: str, function: Callable[..., Any], calls_count: int = 1
    ) -> Callable[..., Any]:
        """Wrap a function of the loop's thread."""
        inner, seconds, calls, clock = self._inner, self._seconds, self._calls, time.thread_time

        def call(*arguments: Any, **named: Any) -> Any:
            begun = clock()
            inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                spent = clock() - begun
                seconds[stage] += spent - inner.pop()
                calls[stage] += calls_count
                inner[-1] += spent

        return call

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what processes a batch."""

        def call(processor: Any, batch: processing.Batch) -> Any:
            self._records += len(batch.messages)
            return function(processor, batch)

        return call

    def noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what is called after a commit."""

        def call(*arguments: Any) -> Any:
            done = function(*arguments)
            if self._records >= self._after:
                self._last = self._now()
                self._first = self._first or self._last
            return done

        return call

    def write(self, file: Path) -> None:
        """Write what was spent."""
        assert self._first is not None
        assert self._last is not None
        file.write_bytes(msgspec.json.encode(Profile(self._first, self._last)))

    def _now(self) -> Spent:
        return Spent(
            dict(self._seconds),
            dict(self._calls),
            time.thread_time(),
            time.process_time(),
            self._records,
        )


def main() -> int:
    """Run the detector, and write the profile when it has ended."""
    clocks = Clocks(int(os.environ["PROFILE_AFTER"]))
    for stage, places in _STAGES.items():
        for i, (holder, name) in enumerate(places):
            setattr(holder, name, clocks.timed(stage, getattr(holder, name), int(i == 0)))
    # What is made while the detector runs, or is no plain function.
    batch_of = processing.Batch.of.__func__  # type: ignore[attr-defined]
    setattr(processing.Batch, "of", classmethod(clocks.timed("records to columns", batch_of)))  # noqa: B010 - mypy knows it as a method
    setattr(judge.Judge, "process", clocks.counted(judge.Judge.process))  # noqa: B010 - the same
    setattr(judge.Judge, "committed", clocks.noted(judge.Judge.committed))  # noqa: B010 - the same
    code = detector.main()
    clocks.write(Path(os.environ["PROFILE_FILE"]))
    return code


if __name__ == "__main__":
    sys.exit(main())
