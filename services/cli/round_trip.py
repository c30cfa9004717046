"""`fraud round-trip`: send one transaction through the stream and wait for its verdict.

`helm test` runs it. The stream treats the transaction like any other: it is judged, counted once
in the metrics, and forwarded to the consumers of verdicts. So its fields mark it as a test, its
amount is small, and its accounts are new each time: no window adds it up with another one.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from services.records.reading import reader
from services.records.words import record_words
from services.rules.keys import NO_KEY
from services.settings import SettingError
from services.streams.clients import ATTEMPT_SECONDS, client_config, missing_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Consumer, Message

    from services.detector.settings import DetectorSettings

NO_VERDICT = 1
_CLIENT = "fraud-round-trip"
_BATCH = 1000
# During a change of the partition's leader.
_PASSING = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
_POLL_SECONDS = 0.2


class _Found(NamedTuple):
    """The test record, None if it did not arrive, and the number of other records."""

    message: Message | None
    others: int


def round_trip(settings: DetectorSettings, given: dict[str, Any], timeout_seconds: float) -> int:
    """Write a test transaction, wait for its verdict, and print both.

    Args:
        settings: Settings of the stream's detector.
        given: Fields of the transaction, in addition to the usual ones or instead of them.
        timeout_seconds: How long to wait for the verdict, in seconds.

    Returns:
        0 if there was a verdict, legit or fraud; 1 if there was none in time, or the
        record became a dead letter.

    Raises:
        SettingError: A topic does not exist, or this user may not write to or read from it.
        KafkaException: The broker cannot be reached.

    """
    outputs = [settings.legit_topic, settings.fraud_topic, settings.dead_letter_topic]
    if missing := missing_topics(settings, [settings.transactions_topic, *outputs]):
        raise SettingError(
            f"no topic {', '.join(missing)} at {settings.kafka_broker_url}, or no right to it"
        )
    transaction = own_transaction() | given
    value = json.dumps(transaction).encode()
    consumer = reader(settings, _CLIENT)
    deadline = time.monotonic() + timeout_seconds
    try:
        # Before the record is written, so that its verdict is after these offsets.
        consumer.assign([end for topic in outputs for end in _ends(consumer, topic, deadline)])
        begun = time.monotonic()
        origin = _write(settings, _key(transaction, settings.keyed_by), value, timeout_seconds)
        _say(f"sent {value.decode()}", f"  as {origin}")
        found = _wait(consumer, value, begun + timeout_seconds)
    finally:
        consumer.close()
    if found.message is None:
        _say(*_complaint(settings, outputs, timeout_seconds, found.others))
        return NO_VERDICT
    return _told(found.message, settings, time.monotonic() - begun)


def own_transaction() -> dict[str, Any]:
    """Make a transaction that is easy to recognise as a test: 1.00 between its own accounts."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return {
        "id": name,
        "source": f"{name}-payer",
        "target": f"{name}-payee",
        "amount": 1.0,
        "currency": "USD",
        "channel": "test",
    }


def _key(transaction: dict[str, Any], keyed_by: str) -> bytes | None:
    value = None if keyed_by == NO_KEY else transaction.get(keyed_by)
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def _ends(consumer: Consumer, topic: str, deadline: float) -> Iterable[TopicPartition]:
    """Return the current ends of a topic's partitions."""
    for partition in consumer.list_topics(topic, ATTEMPT_SECONDS).topics[topic].partitions:
        place = TopicPartition(topic, partition)
        while place.offset < 0:
            try:
                _, place.offset = consumer.get_watermark_offsets(place, ATTEMPT_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
        yield place


def _write(
    settings: DetectorSettings, key: bytes | None, value: bytes, timeout_seconds: float
) -> str:
    """Write a record, and return its partition and offset once the broker has it."""
    reports: list[tuple[KafkaError | None, Message]] = []
    producer = Producer(
        {
            **client_config(settings, _CLIENT),
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # the same partition as Java's producers for a key
            "message.timeout.ms": int(timeout_seconds * 1000),
            "on_delivery": lambda *report: reports.append(report),
        },
        logger=logging.getLogger("librdkafka"),
    )
    producer.produce(settings.transactions_topic, value, key)
    producer.flush()  # returns after the timeout of the message
    ((error, message),) = reports
    if error is not None:
        raise SettingError(f"{settings.transactions_topic} did not take it: {error.str()}")
    return _place(message)


def _wait(consumer: Consumer, value: bytes, deadline: float) -> _Found:
    others = 0
    while time.monotonic() < deadline:
        for message in consumer.consume(_BATCH, _POLL_SECONDS):
            if error := message.error():
                # The client requests its group nevertheless, and reads without one as well.
                if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    continue
                raise SettingError(f"cannot read {message.topic()}: {error.str()}")
            if message.value() == value:
                return _Found(message, others)
            others += 1
    return _Found(None, others)


def _told(message: Message, settings: DetectorSettings, seconds: float) -> int:
    dead_letter = message.topic() == settings.dead_letter_topic
    place, lines = _place(message), record_words(message, dead_letter=dead_letter)
    if dead_letter:
        _say(
            f"no verdict: a dead letter after {seconds:.2f} s, as {place}",
            *lines,
            "To the detectors it is no transaction. Where their schema is one of your own, give "
            "the fields that it asks for: --transaction, or test.transaction of the chart.",
        )
        return NO_VERDICT
    verdict = "fraud" if message.topic() == settings.fraud_topic else "legit"
    _say(f"verdict: {verdict} after {seconds:.2f} s, as {place}", *lines)
    return 0


def _complaint(
    settings: DetectorSettings, outputs: list[str], seconds: float, others: int
) -> list[str]:
    if others:
        meanwhile = (
            f"Meanwhile {others:,} other records came, so detectors run. They may be behind "
            "(metric fraud_consumer_lag_records: then its verdict comes yet), or hold its "
            "partition back while they rebuild windows (fraud_windows_rebuilding_partitions)."
        )
    else:
        meanwhile = (
            "Nothing else came either. Look whether a detector runs and is ready (/readyz), what "
            f"it logs, and whether it reads {settings.transactions_topic} at this broker "
            f"({settings.kafka_broker_url}) in the group {settings.consumer_group}."
        )
    return [f"no verdict: not within {seconds:g} s in {', '.join(outputs)}", meanwhile]


def _place(message: Message) -> str:
    return f"{message.topic()}-{message.partition()}-{message.offset()}"


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
