"""docs/performance-windows.md: what `tests.bench.windows` measured, as tables."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.machine import machine
from tests.bench.measure import WARM_SHARE, Load
from tests.bench.profile_windows import table
from tests.bench.rules import STATELESS, WINDOWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.bench.measure import Run
    from tests.bench.profiled_detector import Profile
    from tests.bench.rebuild import Rebuilt
    from tests.bench.recurring import Recurring
    from tests.bench.verdicts import Verdicts

    Cells = tuple[str, ...]

PAGE = Path("docs/performance-windows.md")
RULES = STATELESS + len(WINDOWS)
BARE = "bare pass-through"
WITHOUT = f"detector, {STATELESS} rules without windows"
WITH_WINDOWS = f"detector, {RULES} rules, {len(WINDOWS)} with windows"
TUNED = "Kafka Streams, in memory with changelog, tuned"
AS_IT_COMES = "Kafka Streams, as it comes (RocksDB)"
_CPU, _RANGE, _RATE = "CPU s per million", "lowest to highest", "records/s"
# What each stream is called in the tables.
_STREAMS = {
    "steady": "the steady hour",
    "hot": "a hot key",
    "million": "a million keys",
    "ten": "ten entries a key",
}


class Stream(NamedTuple):
    """Records to be written, and from which share of them on contenders are measured."""

    name: str
    profile: Recurring
    warm_share: float = WARM_SHARE

    @property
    def load(self) -> Load:
        """What contenders run over."""
        return Load(f"windows.{self.name}", self.profile.records, self.warm_share)


@dataclass
class Results:
    """What was measured, by the names of stream and contender."""

    rounds: int
    load_before: float
    others_share: float = 0.0
    streams: dict[str, Stream] = field(default_factory=dict)
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    verdicts: dict[str, Verdicts] = field(default_factory=dict)
    rebuilds: dict[str, Rebuilt] = field(default_factory=dict)
    profile: Profile | None = None

    @property
    def agreed(self) -> bool:
        """Whether all contenders came to the same verdicts, of all records."""
        whole = self.streams["steady"].profile.records
        return len(set(self.verdicts.values())) == 1 and all(
            sum(counted) == whole for counted in self.verdicts.values()
        )

    def cpu(self, stream: str, contender: str) -> float:
        """CPU seconds per million records."""
        return statistics.median(run.cpu_per_million for run in self.runs[stream, contender])

    def rate(self, stream: str, contender: str) -> float:
        """Records a second."""
        return statistics.median(run.per_second for run in self.runs[stream, contender])

    def resident(self, stream: str, contender: str) -> float:
        """Resident memory in MB."""
        runs = self.runs[stream, contender]
        return statistics.median(run.resident_bytes for run in runs) / 1e6


def page(results: Results) -> str:
    """Write the page."""
    steady = results.streams["steady"]
    assert results.profile is not None
    return _TEXT.format(
        date=datetime.now(UTC).date(),
        machine=machine("confluent-kafka", "msgspec", "numba", "numpy"),
        load=results.load_before,
        others=results.others_share,
        rounds=results.rounds,
        rules=RULES,
        records=steady.profile.records,
        accounts=steady.profile.accounts,
        an_hour=steady.profile.per_hour,
        measured=_measured(steady),
        contenders=_table(
            (
                "",
                _CPU,
                _RANGE,
                _RATE,
                "resident",
                "times the pass-through's CPU",
                "frauds",
                "legit",
            ),
            _contenders(results),
        ),
        verdicts=_verdicts(results),
        targets=_table(("", "target", "measured", ""), _targets(results)),
        shapes=_table(("", "keys", "records", _CPU, _RANGE, _RATE, "resident"), _shapes(results)),
        ten=results.streams["ten"].profile.accounts,
        rebuilds=_table(
            (
                *("", "keys", "replayed", "s", "s per million", _CPU, "times the live speed"),
                *("entries a key", "bytes a key", "process grew by, bytes a key"),
            ),
            _rebuilds(results),
        ),
        profile=table(results.profile),
    )


def _contenders(results: Results) -> Iterator[Cells]:
    for (stream, name), runs in results.runs.items():
        if stream != "steady":
            continue
        cpus = [run.cpu_per_million for run in runs]
        counted = results.verdicts.get(name)
        yield (
            name,
            f"{statistics.median(cpus):.2f}",
            f"{min(cpus):.2f} to {max(cpus):.2f}",
            f"{results.rate(stream, name):,.0f}",
            f"{results.resident(stream, name):,.0f} MB",
            f"{results.cpu(stream, name) / results.cpu(stream, BARE):.2f}",
            *(f"{n:,}" for n in counted or ()),
            *([] if counted else ["", ""]),
        )


def _verdicts(results: Results) -> str:
    if results.agreed:
        return "All that judge with windows came to the same verdicts."
    return "**The contenders' verdicts differ**, so their figures are not of the same work."


def _targets(results: Results) -> Iterator[Cells]:
    ours = results.cpu("steady", WITH_WINDOWS)
    bare, tuned, plain = (results.cpu("steady", name) for name in (BARE, TUNED, AS_IT_COMES))
    replay = results.rebuilds["steady"].per_second / results.rate("steady", WITH_WINDOWS)
    ten = _bytes_per_key(results, "ten")
    for name, wanted, most, got in (
        ("CPU, times the pass-through's", "≤ 1.7 (aim 1.4)", 1.7, ours / bare),
        ("CPU, times Kafka Streams' in memory with changelog", "≤ 0.5", 0.5, ours / tuned),
        ("CPU, times Kafka Streams' as it comes", "≤ 0.333", 0.333, ours / plain),
        ("bytes a key of two windows with ten entries each", "≤ 600", 600.0, ten),
    ):
        told = f"{got:,.0f}" if most > 10 else f"{got:.2f}"
        yield (name, wanted, told, "reached" if got <= most else "missed")
    yield (
        "replay, times as many records a second as live",
        "≥ 2",
        f"{replay:.2f}",
        "reached" if replay >= 2 else "missed",
    )


def _shapes(results: Results) -> Iterator[Cells]:
    for stream in ("steady", "hot", "million"):
        profile, runs = results.streams[stream].profile, results.runs[stream, WITH_WINDOWS]
        cpus = [run.cpu_per_million for run in runs]
        yield (
            _STREAMS[stream],
            f"{profile.accounts:,}",
            f"{profile.records:,}",
            f"{statistics.median(cpus):.2f}",
            f"{min(cpus):.2f} to {max(cpus):.2f}",
            f"{results.rate(stream, WITH_WINDOWS):,.0f}",
            f"{results.resident(stream, WITH_WINDOWS):,.0f} MB",
        )


def _rebuilds(results: Results) -> Iterator[Cells]:
    for stream in ("steady", "million", "ten"):
        rebuilt, profile = results.rebuilds[stream], results.streams[stream].profile
        grown = rebuilt.resident_after - rebuilt.resident_before
        live = results.rate(stream, WITH_WINDOWS)
        yield (
            _STREAMS[stream],
            f"{profile.accounts:,}",
            f"{rebuilt.records:,}",
            f"{rebuilt.seconds:.1f}",
            f"{rebuilt.seconds / rebuilt.records * 1e6:.2f}",
            f"{rebuilt.cpu_seconds / rebuilt.records * 1e6:.2f}",
            f"{rebuilt.per_second / live:.2f}",
            f"{rebuilt.entries / profile.accounts:.1f}",
            f"{_bytes_per_key(results, stream):,.0f}",
            f"{grown / profile.accounts:,.0f}",
        )


def _bytes_per_key(results: Results, stream: str) -> float:
    return results.rebuilds[stream].window_bytes / results.streams[stream].profile.accounts


def _measured(steady: Stream) -> str:
    records, hour = steady.profile.records, steady.profile.per_hour * steady.profile.accounts
    warm = round(records * steady.warm_share)
    return f"the last {records - warm:,}, before which the hour is {min(warm / hour, 1):.0%} full"


def _table(heads: Cells, rows: Iterable[Cells]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


_TEXT = """\
# Windows: measured figures

Written by `make bench` on {date}; nothing here is typed by hand. Machine: {machine}. Broker,
contender and measurement share it, so read ratios, not absolute figures. The load average before
the run was {load:.1f}; during it, other processes took {others:.0%} of the machine's CPU.

## CPU and throughput

{rules} rules, exactly-once. Two have windows, grouped by source: ten payments or more in 60 s
(Count), and 45,000 or more paid in an hour (Sum of the amount). {records:,} records of {accounts:,}
accounts, each with about {an_hour} an hour of event time. What is measured is {measured}.
A hundred of the accounts are far busier, nearly all pay in two currencies or more, and one record
in a hundred comes late. 4 partitions, one broker, the same records for all, runs of each in
turn ({rounds}), medians. CPU seconds are the contender's process alone, user and system.

The Kafka Streams application (`tests/bench/kafka_streams`) does the same work with the Processor
API, exactly_once_v2 and one thread: once in memory with a changelog, tuned and with fastjson2; and
once as it comes, with RocksDB and Jackson. Its Java has a heap of 1 GB.

{contenders}
{verdicts}

## Targets

{targets}
## Hot keys, and a million keys

The detector with the same rules, once each. The hot key has a tenth of all records. Of these two
streams, what comes after the first fifth is measured.

{shapes}
## Rebuild

A detector is started again at the end of each stream: from the assignment of its partitions to all
of them being ready. It reads what its windows can reach. The live speed is that of the same
detector over the same stream, above. Bytes are what the windows hold by their own count
(`fraud_window_bytes`), and by how much the process grew meanwhile. Ten entries a key: {ten:,} keys
with ten payments each in the last minute, which both windows hold.

{rebuilds}
## Where the CPU goes

What is measured of the steady hour, again, with a clock at each stage of the loop
(`tests/bench/profile_windows.py`). A stage's time is without that of the stages it calls.

{profile}"""
