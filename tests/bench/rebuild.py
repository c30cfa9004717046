"""A detector restarted at the end of its stream: how fast its windows are back, and how large."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests.bench.measure import PARTITIONS, cpu_seconds, resident_bytes
from tests.support.streaming import Service, until

LIMIT_SECONDS = 300.0
_LOOK_SECONDS = 0.02


class Rebuilt(NamedTuple):
    """What a rebuild took, from the assignment of the partitions to all of them being ready."""

    records: int
    seconds: float
    cpu_seconds: float
    entries: int
    window_bytes: int
    resident_before: int
    resident_after: int

    @property
    def per_second(self) -> float:
        """Records replayed a second."""
        return self.records / self.seconds


def rebuild(environment: dict[str, str]) -> Rebuilt:
    """Start a detector whose group has committed all, and wait until its windows are there."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name, "detector.log")
        with Service("detector", environment | {"LOG_LEVEL": "info"}, log) as detector:
            begun = _await(detector, "partitions assigned")
            cpu, before = cpu_seconds(detector.pid), resident_bytes(detector.pid)
            ended = _await(detector, "partitions ready")
            cpu, after = cpu_seconds(detector.pid) - cpu, resident_bytes(detector.pid)
            # The gauges are set once a second.
            metrics = until(lambda: _settled(detector), "window metrics")
            assert detector.stop() == 0
    return Rebuilt(
        records=int(metrics["fraud_replayed_records_total"]),
        seconds=ended - begun,
        cpu_seconds=cpu,
        entries=int(metrics["fraud_window_entries"]),
        window_bytes=int(metrics["fraud_window_bytes"]),
        resident_before=before,
        resident_after=after,
    )


def _await(detector: Service, event: str) -> float:
    """Wait until the log tells an event of all partitions; the time (s) of the last such line."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        lines = detector.lines(event)
        if sum(len(line["partitions"]) for line in lines) >= PARTITIONS:
            return datetime.fromisoformat(lines[-1]["timestamp"]).timestamp()
        assert detector.alive, detector.text()
        assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS:.0f} s: {event}"
        time.sleep(_LOOK_SECONDS)


def _settled(detector: Service) -> dict[str, float]:
    """The metrics without labels, once those of the windows are set; nothing before."""
    _, text = detector.get("/metrics")
    pairs = (line.split(" ") for line in text.splitlines() if line[0] != "#" and "{" not in line)
    metrics = {name: float(value) for name, value in pairs}
    done = metrics["fraud_windows_rebuilding_partitions"] == 0
    return metrics if done and metrics["fraud_window_entries"] > 0 else {}
