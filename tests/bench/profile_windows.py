"""Where a detector's CPU goes, a record, with 10 rules of which 2 have windows.

    python -m tests.bench.profile_windows

A real detector over a real broker, with a clock at each stage
(`profiled_detector.py`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.bench import measure
from tests.bench.measure import Contender, Load
from tests.bench.profiled_detector import Profile
from tests.bench.recurring import Recurring
from tests.bench.rules import write_window_rules
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = 3_000_000
WARM = 1_000_000
INPUT = "profile.transactions"


def main() -> None:
    """Profile, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.profile_windows", description=__doc__
    )
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--warm", type=int, default=WARM, help="so many are not looked at")
    arguments = parser.parse_args()
    load = Load(INPUT, arguments.records, arguments.warm / arguments.records)
    with tempfile.TemporaryDirectory() as name, Broker() as broker:
        rules = write_window_rules(Path(name))
        profile = Recurring(load.records, measure.ACCOUNTS)
        measure.fill_recurring(broker, load.topic, profile)
        sys.stdout.write(table(profiled(broker, load, rules)))


def profiled(broker: Broker, load: Load, rules: Path) -> Profile:
    """Run a detector with clocks over a load."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "profile.json")
        settings = {
            "RULES_PATH": str(rules),
            "PROFILE_FILE": str(file),
            "PROFILE_AFTER": str(int(load.records * load.warm_share)),
        }
        measure.run(broker, Contender("profile", "tests.bench.profiled_detector", settings, load))
        return msgspec.json.decode(file.read_bytes(), type=Profile)


def table(profile: Profile) -> str:
    """A row a stage, as Markdown, what takes most first."""
    rows = sorted(_rows(profile), key=lambda row: -row[1])
    whole = sum(seconds for _, seconds, _ in rows)
    records = profile.last.records - profile.first.records
    lines = [
        "| stage | µs a record | share | records a call |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {seconds / records * 1e6:.3f} | {seconds / whole:.1%} | "
            f"{f'{records / calls:,.0f}' if calls else ''} |"
            for name, seconds, calls in rows
        ),
        f"| all | {whole / records * 1e6:.3f} | | |",
    ]
    return "\n".join(lines) + "\n"


def _rows(profile: Profile) -> Iterator[tuple[str, float, int]]:
    """Each stage, its seconds and its calls."""
    first, last = profile.first, profile.last
    known = 0.0
    for stage, seconds in last.stages.items():
        spent = seconds - first.stages.get(stage, 0.0)
        known += spent
        yield stage, spent, last.calls[stage] - first.calls.get(stage, 0)
    loop = last.loop - first.loop
    yield "the loop between the stages", loop - known, 0
    yield "librdkafka's threads", last.process - first.process - loop, 0


if __name__ == "__main__":
    main()
