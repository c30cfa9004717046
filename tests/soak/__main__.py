"""`python -m tests.soak [SCENARIO…]`: all scenarios at full size, or those that are named.

Prints a line a scenario, and ends with exit code 1 at the first difference, with
the record, what was expected and what was found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import scenarios
from tests.soak.broker_restarts import restarts_of_one_broker, restarts_of_three_brokers
from tests.soak.scenarios import PARTITIONS, Size
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.scenarios import Outcome

RECORDS = 1_000_000
RESTARTS = 50
# How long there may be no progress: windows of an hour are read again at each start.
STILL_SECONDS = 180.0


def main() -> int:
    """Run scenarios; the exit code is 1 when something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="all by default")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--restarts", type=int, default=RESTARTS, help="of brokers")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    plan = planned(arguments.records, arguments.seed)
    restarts = {
        scenario.__name__: partial(scenario, restarts=arguments.restarts, seed=arguments.seed)
        for scenario in (restarts_of_one_broker, restarts_of_three_brokers)
    }
    names = arguments.names or [*plan, *restarts]
    if unknown := set(names) - plan.keys() - restarts.keys():
        parser.error(
            f"no scenario {', '.join(sorted(unknown))}; there are {', '.join([*plan, *restarts])}"
        )
    for name in names:
        if name in restarts and not succeeds(name, restarts[name]):
            return 1
    with Broker() as broker:
        for name in names:
            if name in plan and not succeeds(name, partial(plan[name], broker.bootstrap)):
                return 1
    return 0


def planned(records: int, seed: int) -> dict[str, Callable[[str, Path], Outcome]]:
    """Each scenario with its size."""
    sizes = {
        scenarios.one_detector: Size(records, 0),
        scenarios.three_detectors: Size(records, 0),
        scenarios.other_settings: Size(records, 0),
        scenarios.restart_at_the_edge: Size(PARTITIONS * 5, 0),
        scenarios.detectors_come_and_go: Size(records, 10_000, 10),
        scenarios.killed_detectors: Size(records, 10_000, 5),
        scenarios.failing_transactions: Size(records, 10_000),
        scenarios.changing_rules: Size(records, 10_000),
        scenarios.changing_rules_of_failing_transactions: Size(records, 5000),
        scenarios.rolling_restart: Size(records, 2000, 15),
    }
    return {
        scenario.__name__: partial(
            scenario, size=size._replace(seed=seed, still_seconds=STILL_SECONDS)
        )
        for scenario, size in sizes.items()
    }


def succeeds(name: str, scenario: Callable[[Path], object]) -> bool:
    """Run one and say how it went."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fraud-soak-") as folder:
        try:
            said = f"ok: {scenario(Path(folder))}"
        except AssertionError as error:
            said = f"FAILED: {error}"
    sys.stdout.write(f"{name}, {time.monotonic() - began:.0f} s, {said}\n")
    sys.stdout.flush()
    return said.startswith("ok")


if __name__ == "__main__":
    sys.exit(main())
