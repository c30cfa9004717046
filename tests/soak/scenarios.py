"""The scenarios: a stream, detectors with something done to them, and the comparison.

The tests run them small, and `python -m tests.soak` at full size.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.soak import comparison, rules
from tests.soak.comparison import Phase
from tests.soak.fleet import Fleet
from tests.soak.stalls import StallWatch
from tests.soak.writing import Writer
from tests.support import oracle
from tests.support.oracle import Oracle
from tests.support.oracle_stream import START_MS, Stream, Written, clock, endless, stream
from tests.support.streaming import WAIT_SECONDS, Topics
from tools.local_kafka import create_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tests.support.oracle import Record, RuleVersion

_numbers, _ids = itertools.count(1), itertools.count(1)
PARTITIONS = 4
ACCOUNTS = 10_000
HISTORY_MS = 3_600_000
FAILING = "tests.end_to_end.failing_detector"


class Size(NamedTuple):
    """How much, how fast, and how often something happens."""

    records: int
    per_second: float  # 0 is as fast as it can
    every_seconds: float = 3.0
    still_seconds: float = 60.0  # how long there may be no progress
    seed: int = 1


class Settings(NamedTuple):
    """Which rules there are at first, and how early and late transactions may be."""

    versions: Sequence[RuleVersion] = rules.RULES
    max_late_ms: int = oracle.MAX_MS
    max_future_ms: int = oracle.MAX_MS


class Outcome(NamedTuple):
    """What a scenario came to, where all was as it should be."""

    records: int
    destinations: dict[str, int]
    decided: list[int]  # by phase
    events: str

    def __str__(self) -> str:
        """One line."""
        told = ", ".join(f"{n:,} {name}" for name, n in sorted(self.destinations.items()))
        phases = f"; by ruleset {self.decided}" if len(self.decided) > 1 else ""
        return f"{self.records:,} records ({told}); {self.events}{phases}"


class Stage:
    """Topics, rules in a folder, and detectors that use them."""

    def __init__(self, bootstrap: str, folder: Path, settings: Settings) -> None:
        self.bootstrap = bootstrap
        self.settings = settings
        self.versions = list(settings.versions)
        self.topics = Topics(*(f"windows-{next(_numbers)}.{name}" for name in Topics._fields))
        config = {"max.message.bytes": str(2 * 1024 * 1024), "retention.ms": "-1"}
        create_topics(bootstrap, dict.fromkeys(self.topics, PARTITIONS), config)
        self.rules = folder / "rules"
        self.rules.mkdir(parents=True)
        for version in self.versions:
            rules.write(self.rules, version)
        (folder / "schema.yaml").write_text(rules.schema_text(), encoding="utf-8")
        self.environment = {
            "KAFKA_BROKER_URL": bootstrap,
            "TRANSACTIONS_TOPIC": self.topics.transactions,
            "LEGIT_TOPIC": self.topics.legit,
            "FRAUD_TOPIC": self.topics.fraud,
            "DEAD_LETTER_TOPIC": self.topics.dead_letters,
            "CONSUMER_GROUP": f"group-{self.topics.transactions}",
            "RULES_PATH": str(self.rules),
            "SCHEMA_PATH": str(folder / "schema.yaml"),
            "MAX_LATE_SECONDS": str(settings.max_late_ms // 1000),
            "MAX_FUTURE_SECONDS": str(settings.max_future_ms // 1000),
        }
        self.fleet = Fleet(self.topics, self.environment, folder)
        self.phases: list[Phase] = []
        self.inputs: list[Record] = []

    def note_phase(self) -> None:
        """Note which ruleset decides now, once it does on all detectors."""
        in_force = {v.name: i for i, v in enumerate(self.versions)}  # the latest of each name
        known = {path.stem for path in self.rules.iterdir()}
        versions = {i: self.versions[i] for name, i in in_force.items() if name in known}
        self.phases.append(Phase(self.fleet.hash_in_force(), versions))

    def edit(self, version: RuleVersion) -> None:
        """Add or change a rule, and wait until all detectors decide with it."""
        before = self.phases[-1].hash
        self.versions.append(version)
        rules.write(self.rules, version)
        self._until_other_than(before)
        self.note_phase()

    def remove(self, name: str) -> None:
        """Remove a rule, and wait until no detector decides with it."""
        before = self.phases[-1].hash
        (self.rules / f"{name}.yaml").unlink()
        self._until_other_than(before)
        self.note_phase()

    def _until_other_than(self, ruleset: str) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while self.fleet.hash_in_force() == ruleset:
            assert time.monotonic() < end, f"{ruleset} goes on deciding"
            time.sleep(0.05)  # between two looks

    @contextmanager
    def writing(self, records: Iterable[Written], per_second: float) -> Iterator[Writer]:
        """Write records while the block runs, and wait until all are written."""
        with Writer(self.bootstrap, self.topics.transactions, records, per_second) as writer:
            yield writer
            writer.finish()

    def until_judged(self, still_seconds: float) -> None:
        """Read the input, and wait until the detectors have judged it."""
        self.inputs = comparison.read_inputs(self.bootstrap, self.topics.transactions)
        ends = {record.partition: record.offset + 1 for record in self.inputs}
        self.fleet.until_judged(self.bootstrap, ends, PARTITIONS, still_seconds)

    def outcome(self, written: int) -> Outcome:
        """Stop the detectors, and compare what they said with the oracle.

        Raises:
            DifferenceError: it differs.

        """
        self.fleet.stop_all()
        assert len(self.inputs) == written
        late, future = self.settings.max_late_ms, self.settings.max_future_ms
        expected = map(Oracle(self.versions, rules.SCHEMA, late, future).judge, self.inputs)
        found = comparison.read_outputs(self.bootstrap, self.topics, self.inputs)
        decided = comparison.compare(self.inputs, expected, found, self.phases)
        return Outcome(
            len(self.inputs),
            dict(Counter(came.destination for came in found)),
            decided,
            f"{self.fleet.starts} starts, {self.fleet.stops} stops, {self.fleet.kills} kills",
        )


@contextmanager
def stage(
    bootstrap: str,
    folder: Path,
    names: Sequence[str],
    module: str = "",
    settings: Settings = Settings(),  # noqa: B008 - it is not changed
) -> Iterator[Stage]:
    """Set the stage, with detectors of these names running."""
    made = Stage(bootstrap, folder, settings)
    with made.fleet:
        for name in names:
            made.fleet.start(name, module)
        made.note_phase()
        yield made


def steady(made: Stage, size: Size) -> Outcome:
    """Nothing happens to the detectors."""
    with made.writing(stream(size.seed, size.records, PARTITIONS), size.per_second) as writer:
        writer.finish()
    made.until_judged(size.still_seconds)
    return made.outcome(writer.written)


def one_detector(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """One detector."""
    with stage(bootstrap, folder, ["d0"]) as made:
        return steady(made, size)


def three_detectors(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """Three detectors."""
    with stage(bootstrap, folder, ["d0", "d1", "d2"]) as made:
        return steady(made, size)


def other_settings(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """Shorter windows, and less time to be early or late."""
    settings = Settings(rules.SHORT, max_late_ms=20_000, max_future_ms=60_000)
    with stage(bootstrap, folder, ["d0", "d1"], settings=settings) as made:
        return steady(made, size)


def detectors_come_and_go(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """Detectors are added and removed all the time."""
    with stage(bootstrap, folder, ["d0"]) as made:
        records = stream(size.seed, size.records, PARTITIONS)
        with made.writing(records, size.per_second) as writer:
            made.fleet.come_and_go(writer.is_alive, size.every_seconds, size.seed)
        made.until_judged(size.still_seconds)
        return made.outcome(writer.written)


def killed_detectors(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """Of two detectors one is killed all the time, and comes back."""
    with stage(bootstrap, folder, ["d0", "d1"]) as made:
        records = stream(size.seed, size.records, PARTITIONS)
        with made.writing(records, size.per_second) as writer:
            made.fleet.kill_often(writer.is_alive, size.every_seconds, size.seed)
        made.until_judged(size.still_seconds)
        return made.outcome(writer.written)


def failing_transactions(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """The transactions of two detectors often fail at their end, and are read again."""
    with stage(bootstrap, folder, ["d0", "d1"], FAILING) as made:
        return given_up(made, steady(made, size))


def given_up(made: Stage, outcome: Outcome) -> Outcome:
    """Count the transactions that were given up: there have to be some."""
    logged = made.fleet.lines("transaction aborted")
    assert logged
    return outcome._replace(events=f"{outcome.events}, {len(logged)} transactions given up")


def changing_rules(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """A rule is added, two are changed and one is removed while the stream goes on."""
    with stage(bootstrap, folder, ["d0", "d1"]) as made:
        return edited(made, size)


def changing_rules_of_failing_transactions(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """The same, while the transactions of the one detector often fail."""
    with stage(bootstrap, folder, ["d0"], FAILING) as made:
        return given_up(made, edited(made, size))


def edited(made: Stage, size: Size) -> Outcome:
    """Edit rules at about even distances in the stream, which goes on until all is done."""
    done = threading.Event()
    records = endless(size.seed, size.records, PARTITIONS)
    records = itertools.takewhile(lambda _: not done.is_set(), records)
    with made.writing(records, size.per_second) as writer:
        for edit in (rules.ADDED, rules.OTHER_WINDOWS, rules.OTHER_EXPRESSION, None):
            go_on_for(size.records // 5, writer, made)
            if edit:
                made.edit(edit)
            else:
                made.remove("draining-much")
        go_on_for(size.records // 5, writer, made)
        done.set()
        writer.finish()
    made.until_judged(size.still_seconds)
    outcome = made.outcome(writer.written)
    assert all(outcome.decided), outcome
    return outcome


def go_on_for(records: int, writer: Writer, made: Stage) -> None:
    """Let so many records be written, and at least one be judged."""
    end, judged = writer.written + records, made.fleet.judged()
    made.fleet.pause_while(
        lambda: writer.is_alive() and (writer.written < end or made.fleet.judged() == judged)
    )


def restart_at_the_edge(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """After a restart, a payment as late as may be sees one that was as far ahead as may be.

    In each partition there is a payment that only just is, or is not any more, in the
    window of a late one. Its record is the oldest that has to be read again; most of its
    block have the latest time, which so is the stream time.
    """
    before, after = [], []
    for partition in range(PARTITIONS):
        record_ms = START_MS + 10_000
        seen = record_ms + oracle.MAX_MS
        latest = seen + HISTORY_MS + oracle.MAX_MS - 2 + partition
        edge = latest - oracle.MAX_MS
        before += [_payment(partition, START_MS, START_MS), _payment(partition, record_ms, seen)]
        before += [_payment(partition, latest, latest) for _ in range(oracle.BLOCK + 1)]
        after += [_payment(partition, latest, edge - 1), _payment(partition, latest, edge)]
    settings = Settings((rules.ALL_OF_AN_HOUR,))
    with stage(bootstrap, folder, ["d0"], settings=settings) as made:
        with made.writing(before, size.per_second):
            pass
        made.until_judged(size.still_seconds)
        made.fleet.restart("d0")
        with made.writing(after, size.per_second):
            pass
        made.until_judged(size.still_seconds)
        return made.outcome(len(before) + len(after))


def _payment(partition: int, record_ms: int, at: int) -> Written:
    """A payment of a partition's account."""
    source = f"account-{partition}"
    told = {"source": source, "target": "b", "amount": 1.5, "currency": "USD"}
    value = json.dumps({**told, "id": f"{next(_ids)}", "timestamp": at}).encode()
    return Written(partition, source.encode(), value, record_ms)


def rolling_restart(bootstrap: str, folder: Path, size: Size) -> Outcome:
    """Three detectors are restarted one after the other under load, with an hour behind them.

    The size's records are that hour's; its pace is that of what follows.
    """
    names = ["d0", "d1", "d2"]
    payments = Stream(size.seed, ACCOUNTS, PARTITIONS)
    now_ms = time.time_ns() // 1_000_000
    with stage(bootstrap, folder, names) as made:
        hour = itertools.islice(clock(size.records, now_ms - HISTORY_MS, HISTORY_MS), size.records)
        with made.writing(payments.records(hour), 0) as history:
            pass
        made.until_judged(size.still_seconds)
        done = threading.Event()
        live = payments.records(_ticks(size.per_second, done))
        with (
            StallWatch(bootstrap, made.topics.outputs) as watch,
            made.writing(live, size.per_second) as writer,
        ):
            made.fleet.pause(writer.is_alive, size.every_seconds)
            for name in names:
                made.fleet.restart(name)
                made.fleet.pause(writer.is_alive, size.every_seconds)
            done.set()
            writer.finish()
            made.until_judged(size.still_seconds)
            watch.until_seen(writer.sent_at)
        outcome = made.outcome(history.written + writer.written)
    partitions = {record.value: record.partition for record in made.inputs}
    told = watch.told(writer.sent_at, partitions)
    return outcome._replace(events=f"{outcome.events}; {told}")


def _ticks(per_second: float, done: threading.Event) -> Iterator[int]:
    """Tick so often from now on, until it is done."""
    start_ms = time.time_ns() // 1_000_000
    for i in itertools.count():
        if done.is_set():
            return
        yield start_ms + int(i * 1000 / per_second)
