"""Run all contenders in turn, several times, and write docs/performance.md."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import latency, measure
from tests.bench.machine import machine
from tests.bench.measure import Contender, Run
from tests.bench.rules import write_rules
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from tests.bench.latency import Latency

PAGE = Path("docs/performance.md")
BARE, SEED = "bare pass-through", "the seed's own loop"


def main() -> None:
    """Measure, print as it goes, and write the page."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, Broker() as broker:
        folder = Path(name)
        rules = {n: str(write_rules(folder, n)) for n in (1, 10, 100)}
        contenders = [
            Contender(BARE, "tests.bench.pass_through", {}),
            *(
                Contender(_detector(n), "services.detector", {"RULES_PATH": path})
                for n, path in rules.items()
            ),
            Contender(SEED, "tests.bench.seed_loop", {}),
        ]
        _say(f"writing {measure.RECORDS:,} records ...")
        measure.fill(broker)
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for _ in range(rounds):
            for contender in contenders:
                run = measure.run(broker, contender)
                runs[contender.name].append(run)
                _say(f"{contender.name:24} {run.cpu_per_million:8.2f} {run.per_second:10,.0f}/s")
        latencies = [latency.measure(broker, rules[10], n) for n in range(3)]
        _say(str(latencies))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_page(runs, latencies, rounds), encoding="utf-8")
    _say(f"\n{PAGE.read_text(encoding='utf-8')}")


def _detector(n: int) -> str:
    return f"detector, {n} rule{'s' if n > 1 else ''}"


def _page(runs: dict[str, list[Run]], latencies: list[Latency], rounds: int) -> str:
    cpu = {name: statistics.median(r.cpu_per_million for r in all_) for name, all_ in runs.items()}
    rate = {name: statistics.median(r.per_second for r in all_) for name, all_ in runs.items()}
    rows = "\n".join(
        f"| {name} | {cpu[name]:.2f} | {min(r.cpu_per_million for r in all_):.2f} to "
        f"{max(r.cpu_per_million for r in all_):.2f} | {rate[name]:,.0f} | "
        f"{cpu[BARE] / cpu[name]:.2f} |"
        for name, all_ in runs.items()
    )
    ten, hundred = cpu[_detector(10)], cpu[_detector(100)]
    p50 = statistics.median(each.p50 for each in latencies)
    p99 = statistics.median(each.p99 for each in latencies)
    targets = "\n".join(
        f"| {name} | {wanted} | {got} | {'reached' if reached else 'missed'} |"
        for name, wanted, got, reached in (
            (
                "10 rules, of the pass-through per CPU second",
                "≥ 0.75",
                f"{cpu[BARE] / ten:.2f}",
                cpu[BARE] / ten >= 0.75,
            ),
            (
                "10 rules, times the seed's loop per CPU second",
                "≥ 20",
                f"{cpu[SEED] / ten:.0f}",
                cpu[SEED] / ten >= 20,
            ),
            ("100 rules, times the CPU of 10", "≤ 2", f"{hundred / ten:.2f}", hundred / ten <= 2),
            (f"p99 latency at {latency.RATE:,}/s", "< 50 ms", f"{p99:.0f} ms", p99 < 50),
        )
    )
    return _TEXT.format(
        date=datetime.now(UTC).date(),
        records=measure.RECORDS,
        seed_records=measure.SEED_RECORDS,
        rounds=rounds,
        machine=machine("confluent-kafka", "msgspec", "kafka-python"),
        rows=rows,
        targets=targets,
        p50=p50,
        p99=p99,
        rate=latency.RATE,
        measured=latencies[0].records,
        times=len(latencies),
    )


_TEXT = """\
# Measured figures

Written by `make bench` on {date}; nothing here is typed by hand. Machine: {machine}. Broker,
contender and measurement share it, so read ratios, not absolute figures.

## CPU and throughput

The same {records:,} records (the generator's, 4 partitions, one broker) for each contender,
{rounds} runs each in turn, medians. CPU seconds are the contender's process alone, user and
system, from the first fifth of the records to their end. The pass-through is confluent-kafka with
transactions of 10,000 that forwards key, value, headers and timestamp; a tenth of the records are
frauds and gain an explanation. The seed's loop (kafka-python, at least once) ran over
{seed_records:,} records.

| | CPU s per million | lowest to highest | records/s | of the pass-through per CPU second |
| --- | --- | --- | --- | --- |
{rows}

## Latency

At {rate:,} transactions a second with 10 rules, from the record's timestamp to a read-committed
consumer of the outputs, {times} runs of {measured:,} records, medians: **p50 {p50:.0f} ms, p99
{p99:.0f} ms**.

## Targets

| | target | measured | |
| --- | --- | --- | --- |
{targets}
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
