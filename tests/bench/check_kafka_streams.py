"""Compare each Kafka Streams variant's verdicts with a slow recomputation of the same rules.

    python -m tests.bench.check_kafka_streams

Ends with 1 when one differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import Consumer

from services.transactions.currencies import DECIMALS
from tests.bench import measure
from tests.bench.kafka_streams import VARIANTS, command
from tests.bench.recurring import Recurring, Sent
from tools.local_kafka import Broker, create_topics
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable

# Few accounts, so that windows are full and slide on: two hours and more.
PROFILE = Recurring(records=200_000, accounts=1_500, seed=7)
INPUT = "check.transactions"
LIMIT_SECONDS = 120.0
PAYMENTS, PAID_MINOR = 10, 4_500_000
_COUNT_MS, _SUM_MS = 60_000, 3_600_000


class Outcome(NamedTuple):
    """What became of a record: its explanation when it is a fraud, and the record as written."""

    explanation: dict[str, Any] | None
    sent: Sent


def main() -> int:
    """Run the variants in turn, and print how many records differ."""
    start_ms = time.time_ns() // 1_000_000 - PROFILE.span_ms
    sent = list(PROFILE.make(start_ms))
    expected = recompute(sent)
    rules = Counter(
        rule for o in expected.values() if o.explanation for rule in o.explanation["matches"]
    )
    frauds = sum(o.explanation is not None for o in expected.values())
    _say(
        f"{len(sent):,} records, {frauds:,} frauds expected; matches: {dict(sorted(rules.items()))}"
    )
    differences = 0
    with Broker() as broker:
        create_topics(broker.bootstrap, {INPUT: measure.PARTITIONS})
        PROFILE.write(broker, INPUT, start_ms)
        for variant in VARIANTS:
            found = judged(broker, variant)
            differing = [id_ for id_ in expected if expected[id_] != found.get(id_)]
            _say(f"{variant}: {len(expected) - len(differing):,} equal, {len(differing):,} differ")
            for id_ in differing[:3]:
                _say(f"  {id_}: expected {expected[id_]}, found {found.get(id_)}")
            differences += len(differing)
    return 1 if differences else 0


def recompute(sent: Iterable[Sent]) -> dict[str, Outcome]:
    """Judge the records one by one, each against all that its account did before."""
    history: defaultdict[str, list[tuple[int, str, int]]] = defaultdict(list)
    outcomes = {}
    for record in sent:
        t = json.loads(record.value, parse_float=Decimal)
        at, code = t.get("timestamp", record.timestamp_ms), t["currency"]
        minor = int(Decimal(t["amount"]).scaleb(DECIMALS[code]))
        mine = history[t["source"]]
        mine.append((at, code, minor))
        payments = sum(at - _COUNT_MS < ms <= at for ms, _, _ in mine)
        paid = sum(m for ms, c, m in mine if at - _SUM_MS < ms <= at and c == code)
        matches = [f"r{n:03}" for n, matched in enumerate(_rules(t, payments, paid)) if matched]
        explanation = {
            "verdict": "fraud",
            "matches": matches,
            "payments": payments,
            "paid_minor": paid,
        }
        outcomes[t["id"]] = Outcome(explanation if matches else None, record)
    return outcomes


def _rules(t: dict[str, Any], payments: int, paid_minor: int) -> tuple[bool, ...]:
    """The first eight of tests/bench/rules.py, and the two with windows."""
    source, target, amount = t["source"], t["target"], t["amount"]
    return (
        amount >= 900,
        amount >= 800 and t["currency"] == "EUR",
        source.startswith("0zz"),
        source == target and amount > 1,
        t.get("country") in ("EUR", "KP", "IR"),
        target.endswith("0zz") and amount < 50,
        amount == Decimal("1.25"),
        len(source) != 12 and amount > 1,
        payments >= PAYMENTS,
        paid_minor >= PAID_MINOR,
    )


def judged(broker: Broker, variant: str) -> dict[str, Outcome]:
    """Run a variant over the input, and read what it wrote."""
    group = f"check-{variant}"
    environment = measure.make_outputs(broker, group) | {"TRANSACTIONS_TOPIC": INPUT}
    process = subprocess.Popen(command(variant), env=environment, preexec_fn=die_with_parent)
    try:
        topics = [environment["LEGIT_TOPIC"], environment["FRAUD_TOPIC"]]
        found = _read(broker, topics, process)
        process.terminate()
        process.wait(30)
        return found
    finally:
        process.kill()
        process.wait()
        measure.delete_topics(broker, group)


def _read(
    broker: Broker, topics: list[str], process: subprocess.Popen[bytes]
) -> dict[str, Outcome]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": f"{topics[0]}.reader",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(topics)
    found: dict[str, Outcome] = {}
    read = 0
    deadline = time.monotonic() + LIMIT_SECONDS
    while read < PROFILE.records and time.monotonic() < deadline:
        assert process.poll() is None, "it ended"
        for message in consumer.consume(1000, 1.0):
            if message.error() is None:
                read += 1
                value, headers = message.value() or b"", dict(message.headers() or [])
                told = json.loads(headers["fraud.decision"] or b"") if headers else None
                assert (told is not None) == (message.topic() == topics[1]), "a verdict's topic"
                sent = Sent(message.key() or b"", value, message.timestamp()[1])
                found[json.loads(value)["id"]] = Outcome(told, sent)
    consumer.close()
    assert read == len(found), f"{read - len(found)} records were written twice"
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
