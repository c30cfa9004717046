"""Windows: the detector beside the bare pass-through and Kafka Streams, all on the same records.

    python -m tests.bench.windows

10 rules of which 2 have windows, exactly-once. Then a hot key, a million keys,
what a restart takes, and where the detector's CPU goes. Writes
docs/performance-windows.md; ends with 1 where the contenders' verdicts differ.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench import measure, verdicts
from tests.bench.kafka_streams import contender as kafka_streams
from tests.bench.machine import Others
from tests.bench.measure import Contender
from tests.bench.profile_windows import profiled
from tests.bench.rebuild import rebuild
from tests.bench.recurring import Recurring
from tests.bench.rules import STATELESS, write_rules, write_window_rules
from tests.bench.windows_page import (
    AS_IT_COMES,
    BARE,
    PAGE,
    TUNED,
    WITH_WINDOWS,
    WITHOUT,
    Results,
    Stream,
    page,
)
from tools.local_kafka import Broker

ROUNDS = 3
# Those whose verdicts have to be the same.
_JUDGES = (WITH_WINDOWS, TUNED, AS_IT_COMES)


def streams(scale: float) -> tuple[Stream, ...]:
    """Ten records a key in a minute, a hot key, a million keys, and the steady hour."""
    ten, hot, million, warm, measured = (
        int(records * scale) for records in (1_000_000, 2_000_000, 4_000_000, 5_400_000, 1_000_000)
    )
    return (
        Stream("ten", Recurring(ten, ten // 10, per_hour=600, in_turn=True)),
        Stream("hot", Recurring(hot, 100_000, hot_share=0.1)),
        Stream("million", Recurring(million, 1_000_000, per_hour=4)),
        Stream("steady", Recurring(warm + measured, 100_000), warm / (warm + measured)),
    )


def main() -> int:
    """Measure, print as it goes, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.windows", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="over the steady hour")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of records")
    arguments = parser.parse_args()
    results = Results(arguments.rounds, os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as name, Broker() as broker:
        others = Others(broker.pid)
        bench = Bench(broker, Path(name), results)
        for stream in streams(arguments.scale):
            bench.run(stream)
        results.others_share = others.share
    PAGE.write_text(page(results), encoding="utf-8")
    _say(f"\n{PAGE.read_text(encoding='utf-8')}")
    return 0 if results.agreed else 1


class Bench:
    """Measures on one broker.

    Args:
        broker: runs.
        folder: for the rules.
        results: what was measured so far.

    """

    def __init__(self, broker: Broker, folder: Path, results: Results) -> None:
        self._broker = broker
        self._results = results
        self._windows = write_window_rules(folder)
        self._stateless = write_rules(folder, STATELESS)

    def run(self, stream: Stream) -> None:
        """Write a stream, and measure what there is to measure over it."""
        _say(f"{stream.name}: writing {stream.profile.records:,} records ...")
        self._results.streams[stream.name] = stream
        measure.fill_recurring(self._broker, stream.load.topic, stream.profile)
        contenders = self._contenders(stream)
        rounds = self._results.rounds if stream.name == "steady" else 1
        for n in range(rounds):
            for contender in contenders:
                self._measure(stream, contender, first=n == 0, last=n == rounds - 1)
        if stream.name == "steady":
            self._results.profile = profiled(self._broker, stream.load, self._windows)

    def _contenders(self, stream: Stream) -> list[Contender]:
        ours = self._detector(WITH_WINDOWS, stream, self._windows)
        if stream.name != "steady":
            return [ours]
        return [
            Contender(BARE, "tests.bench.pass_through", {}, stream.load),
            self._detector(WITHOUT, stream, self._stateless),
            ours,
            kafka_streams("tuned", stream.load)._replace(name=TUNED),
            kafka_streams("as-it-comes", stream.load)._replace(name=AS_IT_COMES),
        ]

    def _detector(self, name: str, stream: Stream, rules: Path) -> Contender:
        return Contender(name, "services.detector", {"RULES_PATH": str(rules)}, stream.load)

    def _measure(self, stream: Stream, contender: Contender, *, first: bool, last: bool) -> None:
        def look(outputs: dict[str, str]) -> None:
            if first and stream.name == "steady" and contender.name in _JUDGES:
                self._count(contender.name, outputs)
            if last and stream.name != "hot" and contender.name == WITH_WINDOWS:
                self._rebuild(stream.name, outputs | contender.settings)

        run = measure.run(self._broker, contender, look)
        self._results.runs.setdefault((stream.name, contender.name), []).append(run)
        _say(
            f"{stream.name:8} {contender.name:44} {run.cpu_per_million:8.2f} "
            f"{run.per_second:10,.0f}/s {run.resident_bytes / 1e6:8,.0f} MB"
        )

    def _count(self, name: str, environment: dict[str, str]) -> None:
        self._results.verdicts[name] = counted = verdicts.count(self._broker, environment)
        _say(f"{name}: {counted.fraud:,} frauds, {counted.legit:,} legit")

    def _rebuild(self, stream: str, environment: dict[str, str]) -> None:
        self._results.rebuilds[stream] = rebuilt = rebuild(environment)
        _say(f"{stream}: {rebuilt}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
