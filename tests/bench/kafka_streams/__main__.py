"""Measure the three variants beside the bare pass-through, on the same records and broker."""

from __future__ import annotations

import argparse
import sys

from tests.bench import measure
from tests.bench.kafka_streams import VARIANTS, contender
from tests.bench.measure import Contender
from tools.local_kafka import Broker


def main() -> None:
    """Run each in turn, so many rounds, and print what each run took."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.kafka_streams", description=__doc__
    )
    parser.add_argument("variants", nargs="*", default=VARIANTS, help="all of them by default")
    parser.add_argument("--rounds", type=int, default=1, help="how often each runs")
    arguments = parser.parse_args()
    contenders = [
        Contender("bare pass-through", "tests.bench.pass_through", {}, measure.RECURRING),
        *map(contender, arguments.variants),
    ]
    with Broker() as broker:
        measure.fill_recurring(broker)
        for each in contenders * arguments.rounds:
            run = measure.run(broker, each)
            sys.stdout.write(
                f"{each.name:28} {run.cpu_per_million:6.2f} CPU s per million, "
                f"{run.per_second:9,.0f} records/s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
