"""What the metrics cost a detector: the judging of the same batches, with them and without.

    python -m tests.bench.metrics_cost

Two judges in one process, with 10 rules of which 2 have windows, take turns with each
batch; one counts as a detector does, the other counts nothing. Their difference is compared
with the CPU of a whole detector, which also consumes and produces, over the same records.
Writes docs/performance-metrics.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast
from unittest import mock

from confluent_kafka import Message
from prometheus_client import Counter, generate_latest

from services.detector.__main__ import _spare_the_collector
from services.detector.judge import Judge
from services.detector.keying import Keying
from services.detector.outcomes import Topics
from services.detector.partitions import Partition, Partitions
from services.detector.reading import Reader
from services.detector.stream_time import StreamTime
from services.rules import Compiler, Ruleset, RuleStore, read_manifests, rule_files
from services.rules.partition_windows import PartitionWindows
from services.streams.limit import MOST_RECORDS
from services.streams.processing import Batch
from services.streams.session import BATCH_RECORDS
from services.telemetry import metrics
from services.transactions import load_schema
from services.windows import prepare
from tests.bench import measure
from tests.bench.machine import machine
from tests.bench.measure import Contender, Load
from tests.bench.recurring import Recurring
from tests.bench.rules import write_window_rules
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.detector.ruleset_source import RulesetSource

PAGE = Path("docs/performance-metrics.md")
MOST = 0.03
RECORDS = 1_000_000
LATE_MS = 300_000
SCRAPE_SECONDS = 15
SCRAPES = 20


class OnePartition:
    """A partition that is ready, without a broker."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.warming = ()
        self.stream_times = {0: StreamTime(0)}
        windows = PartitionWindows(ruleset.windows, 2 * LATE_MS)
        self.ready = {0: Partition(windows, 0)}


class Counting:
    """A judge that counts what it commits, as a detector has it."""

    def __init__(self, compiler: Compiler, rules: Path) -> None:
        store = RuleStore(compiler, 100, lambda *_: None)
        update = store.update(m for file in rule_files([rules]) for m in read_manifests(file))
        self.seconds = [0.0]
        """The CPU from each commit to the next."""
        self.judge = Judge(
            Reader(compiler.schema, max_future_ms=LATE_MS, max_late_ms=LATE_MS),
            cast("RulesetSource", None),
            cast("Partitions", OnePartition(update.ruleset)),
            Topics("legit", "fraud", "dead"),
            Keying("source"),
        )

    def turn(self, batch: Batch, *, commit: bool) -> None:
        """Judge a batch, and take the CPU that it costs (s)."""
        begun = time.thread_time()
        self.process(batch)
        if commit:
            self.commit()
        self.seconds[-1] += time.thread_time() - begun
        if commit:
            self.seconds.append(0.0)

    def process(self, batch: Batch) -> None:
        """Judge."""
        self.judge.process(batch)

    def commit(self) -> None:
        """Count, with what the loop itself counts at a commit."""
        metrics.COMMIT_DURATION.observe(0.005)
        metrics.KAFKA_TRANSACTIONS.labels("committed").inc()
        self.judge.committed({})


class Silent(Counting):
    """The same, and nothing is counted."""

    def __init__(self, compiler: Compiler, rules: Path) -> None:
        super().__init__(compiler, rules)
        self.judge._money = None

    def process(self, batch: Batch) -> None:
        """Judge, without a count of those that were compared."""
        with (
            mock.patch.object(Counter, "inc", _nothing),
            mock.patch.object(Counter, "labels", _same),
        ):
            self.judge._judge(batch)

    def commit(self) -> None:
        """Forget what was judged."""
        self.judge._committed_marks.update(self.judge._marks)
        self.judge._clear()


def _nothing(*_: object) -> None:
    pass


def _same(counter: Counter, *_: object) -> Counter:
    return counter


def batches(records: int) -> Iterator[Batch]:
    """Make the records of accounts that come back, as the loop hands them over."""
    found: list[Message] = []
    profile = Recurring(records, measure.ACCOUNTS)
    start = time.time_ns() // 1_000_000 - profile.span_ms
    for offset, (key, value, at) in enumerate(profile.make(start)):
        found.append(
            Message(topic="t", partition=0, offset=offset, key=key, value=value, timestamp=(1, at))
        )
        if len(found) == BATCH_RECORDS:
            yield Batch.of(found)
            found = []


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.metrics_cost", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    records = parser.parse_args().records
    with tempfile.TemporaryDirectory() as name:
        rules = write_window_rules(Path(name))
        with_, without = judged(records, rules)
        whole = detector(records, rules)
    share = (with_ - without) / whole
    page = _TEXT.format(
        date=datetime.now(UTC).date(),
        machine=machine("confluent-kafka", "prometheus-client", "numpy"),
        records=records,
        with_=with_,
        without=without,
        whole=whole,
        share=share,
        most=MOST,
        reached="reached" if share < MOST else "missed",
        scraped=scraped(),
    )
    PAGE.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


def judged(records: int, rules: Path) -> tuple[float, float]:
    """Measure judging with metrics and without: µs of CPU a record.

    Medians of commits, and of the differences of two that are of the same records.
    """
    prepare()
    compiler = Compiler(load_schema(None), "source")
    with_, without = Counting(compiler, rules), Silent(compiler, rules)
    _spare_the_collector()
    for number, batch in enumerate(batches(records), 1):
        for judge in (with_, without) if number % 2 else (without, with_):
            judge.turn(batch, commit=number % (MOST_RECORDS // BATCH_RECORDS) == 0)
    warm = int(records * measure.WARM_SHARE) // MOST_RECORDS
    pairs = list(zip(with_.seconds[warm:-1], without.seconds[warm:-1], strict=True))
    more = statistics.median(a - b for a, b in pairs)
    least = statistics.median(b for _, b in pairs)
    return (least + more) / MOST_RECORDS * 1e6, least / MOST_RECORDS * 1e6


def detector(records: int, rules: Path) -> float:
    """Measure a real detector on a real broker: µs of CPU a record."""
    with Broker() as broker:
        measure.fill_recurring(broker, profile=Recurring(records, measure.ACCOUNTS))
        load = Load(measure.RECURRING_INPUT, records)
        settings = {"RULES_PATH": str(rules)}
        return measure.run(
            broker, Contender("detector", "services.detector", settings, load)
        ).cpu_per_million


def scraped() -> str:
    """Say what it costs to be read by Prometheus."""
    begun = time.thread_time()
    for _ in range(SCRAPES):
        text = generate_latest(metrics.DETECTOR)
    seconds = (time.thread_time() - begun) / SCRAPES
    return (
        f"A scrape of {len(text):,} bytes takes {seconds * 1000:.1f} ms: "
        f"{seconds / SCRAPE_SECONDS:.3%} of a core at one every {SCRAPE_SECONDS} s."
    )


_TEXT = """\
# What the metrics cost

Written by `make bench` on {date}. Machine: {machine}.

Two judges in one process, with 10 rules of which 2 have windows, take turns with each batch of
{records:,} records; one counts as a detector does, the other counts nothing. The whole is that of a
detector process that also consumes and produces, with transactions, over the same records.

| | µs of CPU a record |
| --- | --- |
| judging, with metrics | {with_:.3f} |
| judging, without | {without:.3f} |
| a whole detector | {whole:.3f} |

| | target | measured | |
| --- | --- | --- | --- |
| the metrics, of the whole | < {most:.0%} | {share:.1%} | {reached} |

{scraped}
"""


if __name__ == "__main__":
    main()
