"""`python -m tools.demo`: broker, topics, generator, detector, console, a view, a reckoning."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from services.console.latest import Latest
from services.errors import UserError
from services.settings import KafkaSettings
from services.windows import prepare
from tools.demo.children import Child
from tools.demo.observation import observe
from tools.demo.tally import tally
from tools.demo.view import View
from tools.local_kafka import Broker, create_topics

if TYPE_CHECKING:
    from services.console.samples import Sample

INPUT = "queueing.transactions"
LEGIT = "streaming.transactions.legit"
FRAUD = "streaming.transactions.fraud"
DEAD_LETTERS = "streaming.transactions.dead-letters"
PARTITIONS = 4
# The largest record that a topic accepts by default, plus room for the added headers.
OUTPUT_CONFIG = {"max.message.bytes": str(2 * 1024 * 1024)}

LOOK_EVERY_SECONDS = 0.25
FRAUDS = 6
# If there is no fraud among this many transactions, the rules have none to show.
ENOUGH_FOR_A_FRAUD = 2_000
# Without a verdict for this long, the missing ones will not come.
CATCH_UP_SECONDS = 120.0


def main() -> int:
    """Run the demo; 0 only if every transaction has exactly one verdict."""
    options = _options()
    try:
        with tempfile.TemporaryDirectory(prefix="fraud-demo-") as folder:
            return _demo(options, Path(folder))
    except UserError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted before it was done\n")
        return 130


def _demo(options: argparse.Namespace, folder: Path) -> int:
    _say("starting a Kafka broker on loopback ...")
    started = time.monotonic()
    # The detector would do this at its start; the first time it takes seconds, then it is cached.
    compiling = threading.Thread(target=prepare, daemon=True)
    compiling.start()
    with Broker() as broker:
        create_topics(broker.bootstrap, {INPUT: PARTITIONS})
        outputs = {LEGIT: PARTITIONS, FRAUD: PARTITIONS, DEAD_LETTERS: 1}
        create_topics(broker.bootstrap, outputs, OUTPUT_CONFIG)
        if compiling.is_alive():
            _say("compiling the windows, once ...")
            compiling.join()
        environment = {"KAFKA_BROKER_URL": broker.bootstrap, "INSTANCE_ID": "demo"}
        children: list[Child] = []
        try:
            children.append(Child("detector", folder, {**environment, "RULES_PATH": options.rules}))
            made = {
                "TRANSACTIONS_PROFILE": "accounts",
                "TRANSACTIONS_ACCOUNTS": "1000000",
                "TRANSACTIONS_PER_SECOND": options.rate,
            }
            children.append(Child("generator", folder, {**environment, **made}))
            asked = {"DETECTORS": f"127.0.0.1:{children[0].port}"}
            children.append(Child("console", folder, {**environment, **asked}))
            _say(f"running after {time.monotonic() - started:.1f} s on {broker.bootstrap}")
            _say(f"the same as a page for your browser: http://127.0.0.1:{children[2].port}/")
            _watch(options, broker, children)
            return _reckon(broker, *children)
        finally:
            for child in children:
                child.kill()


def _watch(options: argparse.Namespace, broker: Broker, children: list[Child]) -> None:
    """Show the stream until the time is over or Ctrl-C.

    The time begins with the first verdict, and is extended until a fraud was shown, so a slow
    machine shows as much as a fast one.
    """
    detector, _, console = children
    page = f"http://127.0.0.1:{console.port}/"
    view = View(f"fraud detection, Kafka at {broker.bootstrap}, in your browser: {page}")
    settings = KafkaSettings(kafka_broker_url=broker.bootstrap)
    frauds = Latest(settings, FRAUD, FRAUDS, lambda message: message)
    frauds.start()
    until = float("inf")
    try:
        while True:
            for child in children:
                child.check()
            seen = observe(detector.port)
            view.show(seen, frauds.records)
            if options.seconds and until == float("inf") and seen.judged:
                until = time.monotonic() + options.seconds
            none_to_show = not seen.fraud and seen.judged >= ENOUGH_FOR_A_FRAUD
            if time.monotonic() >= until and (view.fraud_shown or none_to_show):
                break
            time.sleep(LOOK_EVERY_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        view.stop()
        frauds.stop()


def _reckon(broker: Broker, detector: Child, generator: Child, console: Child) -> int:
    """Stop the generator, let the detector finish, and compare the counts of both."""
    _say("stopping: the generator first, then the detector when it has judged the rest ...")
    generator_code = generator.stop()
    written = generator.last("stopped").get("acknowledged", 0)
    seen = _caught_up(detector, written)
    detector_code = detector.stop()
    console.stop()
    before, after = (
        tally(broker.bootstrap, [INPUT]),
        tally(broker.bootstrap, [LEGIT, FRAUD, DEAD_LETTERS]),
    )
    exact = before == after and generator_code == detector_code == 0
    _say(
        f"\n  transactions written   {before.records:>12,}"
        f"\n  verdicts               {after.records:>12,}   "
        f"({seen.legit:,} legit, {seen.fraud:,} fraud, {seen.dead_letters:,} dead letters)"
    )
    for rule, n in sorted(seen.matches.items()):
        _say(f"  matches of {rule:<20} {n:>4,}")
    if exact:
        _say("\nEvery transaction got exactly one verdict.")
    else:
        _say(
            "\nNOT every transaction got exactly one verdict "
            f"(exit codes: generator {generator_code}, detector {detector_code})."
        )
    return 0 if exact else 1


def _caught_up(detector: Child, written: int) -> Sample:
    """Wait until the detector has judged all records, or makes no progress."""
    best, deadline = -1, 0.0
    while (seen := observe(detector.port)).judged < written:
        if seen.judged > best:
            best, deadline = seen.judged, time.monotonic() + CATCH_UP_SECONDS
        elif time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return seen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=0, help="end so long after the first verdict; 0: on Ctrl-C"
    )
    parser.add_argument("--rate", default="1000", help="transactions a second, or max")
    parser.add_argument("--rules", default="k8s/rules", help="a file or a folder of FraudRules")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
