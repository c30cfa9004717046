"""Every record of the input against what became of it, one by one."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.support.oracle import Record, decision
from tools.demo.tally import close_at_end, ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from confluent_kafka import Message

    from tests.support.oracle import Judged, RuleVersion
    from tests.support.streaming import Topics

READ_SECONDS = 60.0
DEAD_LETTER = "dead-letter."
DECISION = "fraud.decision"


class DifferenceError(AssertionError):
    """What was found is not what the oracle expects; the text tells of the first of it."""


class Phase(NamedTuple):
    """A ruleset that is in force for a while."""

    hash: str  # empty where nobody asked for it
    versions: Mapping[int, RuleVersion]


class Found(NamedTuple):
    """What became of a record."""

    destination: str  # legit, fraud, or the reason of a dead letter
    decision: bytes | None


def read_inputs(bootstrap: str, topic: str) -> list[Record]:
    """Read the committed records of the input, in order of partition and offset."""
    records = [
        Record(message.partition() or 0, message.offset() or 0, *_content(message))
        for message in committed(bootstrap, [topic])
    ]
    return sorted(records, key=lambda record: (record.partition, record.offset))


def read_outputs(bootstrap: str, topics: Topics, records: Sequence[Record]) -> list[Found]:
    """Read what became of each record of the input.

    Raises:
        DifferenceError: of one nothing came, or something more than once; or what
            came is not what it was.

    """
    found: list[Found | None] = [None] * len(records)
    places = {(record.partition, record.offset): i for i, record in enumerate(records)}
    # Good values are unique, by the transaction's id; of others the headers tell the place.
    values = {record.value: i for i, record in enumerate(records)}
    last: dict[tuple[object, ...], int] = defaultdict(lambda: -1)
    for message in committed(bootstrap, topics.outputs):
        headers = _headers(message)
        dead = message.topic() == topics.dead_letters
        i = places[_origin(headers)] if dead else values[message.value()]
        record = records[i]
        if _content(message) != record[2:]:
            raise DifferenceError(f"{_told(record)}\ncame out as {_content(message)}")
        if found[i] is not None:
            raise DifferenceError(f"{_told(record)}\ncame out more than once, in {message.topic()}")
        order = message.topic(), message.partition(), record.key, record.partition
        if record.key is not None and last[order] > i:
            raise DifferenceError(f"{_told(record)}\ncame out after later ones of its key")
        last[order] = i
        destination = "legit" if message.topic() == topics.legit else "fraud"
        if dead:
            destination = headers[f"{DEAD_LETTER}reason"].decode()
        found[i] = Found(destination, headers.get(DECISION))
    missing = [record for record, came in zip(records, found, strict=True) if came is None]
    if missing:
        raise DifferenceError(f"{len(missing)} have no verdict; the first:\n{_told(missing[0])}")
    return [came for came in found if came is not None]


def compare(
    records: Sequence[Record],
    expected: Iterable[Judged],
    found: Sequence[Found],
    phases: Sequence[Phase],
    threshold: int = 100,
) -> list[int]:
    """Compare each record's destination and explanation with the oracle's.

    In each partition the rulesets follow one another; once the next has decided a
    record, the one before must not decide any more. A record that neither explains
    is taken for the earlier one's, as long as its verdict allows it.

    Returns:
        How many records each phase decided.

    Raises:
        DifferenceError: something differs.

    """
    decided = [0] * len(phases)
    current: dict[int, int] = defaultdict(int)
    differences: list[str] = []
    for record, judged, came in zip(records, expected, found, strict=True):
        if judged.reason or came.decision is None:
            told, ruleset = None, ""
        else:
            told = json.loads(came.decision)
            ruleset = told.pop("ruleset")
        for phase in range(current[record.partition], len(phases)):
            if ruleset and phases[phase].hash not in {"", ruleset}:
                continue
            wanted = _wanted(judged, phases[phase], threshold)
            if (came.destination, _comparable(told)) == (wanted[0], _comparable(wanted[1])):
                current[record.partition] = phase
                decided[phase] += 1
                break
        else:
            if not differences:
                differences.append(_difference(record, judged, came, phases, threshold))
            else:
                differences.append("")
    if differences:
        raise DifferenceError(f"{len(differences)} differ; the first:\n{differences[0]}")
    return decided


def _wanted(judged: Judged, phase: Phase, threshold: int) -> tuple[str, dict[str, Any] | None]:
    if judged.reason:
        return judged.reason, None
    told = decision(phase.versions, judged, threshold)
    return (told["verdict"] if told else "legit"), told


def _comparable(told: dict[str, Any] | None) -> str | None:
    """A decision as text: 1 and 1.0 are two, and the order of aggregates counts."""
    if told is None:
        return None
    ordered = [
        {**match, "aggregates": list(match["aggregates"].items())}
        if "aggregates" in match
        else match
        for match in told["matches"]
    ]
    return json.dumps({**told, "matches": ordered}, sort_keys=True)


def _difference(
    record: Record, judged: Judged, came: Found, phases: Sequence[Phase], threshold: int
) -> str:
    lines = [_told(record)]
    for i, phase in enumerate(phases):
        destination, told = _wanted(judged, phase, threshold)
        lines.append(f"expected of phase {i} {phase.hash}: {destination} {json.dumps(told)}")
    lines.append(f"found: {came.destination} {(came.decision or b'null').decode()}")
    return "\n".join(lines)


def _told(record: Record) -> str:
    return (
        f"partition {record.partition}, offset {record.offset}, at {record.timestamp_ms}, "
        f"key {record.key!r}: {record.value!r}"
    )


def _content(message: Message) -> tuple[int, bytes | None, bytes | None]:
    return message.timestamp()[1], message.key(), message.value()


def _headers(message: Message) -> dict[str, bytes]:
    return dict(message.headers() or [])  # type: ignore[arg-type]


def _origin(headers: dict[str, bytes]) -> tuple[int, int]:
    return int(headers[f"{DEAD_LETTER}partition"]), int(headers[f"{DEAD_LETTER}offset"])


def committed(bootstrap: str, topics: Iterable[str]) -> Iterator[Message]:
    """Give every committed record of some topics, to their ends, without keeping them."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "outside",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": 4 * 1024 * 1024,
        }
    )
    left = ends(bootstrap, topics)
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in left])
    since = time.monotonic()
    while left:
        messages = consumer.consume(5000, 0.1)
        if messages:
            since = time.monotonic()
        elif time.monotonic() - since > READ_SECONDS:
            raise DifferenceError(f"a transaction stays open in {sorted(left)}")
        for message in messages:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                close_at_end(left, message)
            else:
                raise DifferenceError(str(error))
    consumer.close()
