"""`fraud tail`: print a topic's records as they arrive."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from services.records.reading import reader
from services.records.words import dead_letter_of, decision_json, record_words
from services.settings import SettingError
from services.streams.clients import ATTEMPT_SECONDS, Certificates, missing_topics

if TYPE_CHECKING:
    import argparse

    from confluent_kafka import Consumer, Message

    from services.detector.settings import DetectorSettings


DEAD_LETTERS = "dead-letters"
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's public name


def tail(settings: DetectorSettings, stream: str, options: argparse.Namespace) -> int:
    """Print records until interrupted, or until the requested number is reached.

    Raises:
        SettingError: There is no such topic.
        KafkaException: The broker cannot be reached.

    """
    topic = {
        "legit": settings.legit_topic,
        "fraud": settings.fraud_topic,
        DEAD_LETTERS: settings.dead_letter_topic,
    }[stream]
    if missing_topics(settings, [topic]):
        raise SettingError(f"no topic {topic} at {settings.kafka_broker_url}, or no right to it")
    certificates = Certificates(settings)
    consumer = _open(settings)
    start = OFFSET_BEGINNING if options.from_beginning else OFFSET_END
    shown = 0
    try:
        open_partitions = _assign(consumer, topic, start)
        while open_partitions or not options.exit_at_end:
            if certificates.renewed():
                certificates = Certificates(settings)
                consumer = _go_on(consumer, _open(settings), start)
            message = consumer.poll(0.2)
            if message is None:
                continue
            if error := message.error():
                if error.code() != _END_OF_PARTITION:
                    raise KafkaException(error)
                open_partitions.discard(message.partition())
                continue
            sys.stdout.write(_line(message, stream, options.output) + "\n")
            sys.stdout.flush()
            shown += 1
            if shown == options.limit:
                break
    finally:
        consumer.close()
    return 0


def _open(settings: DetectorSettings) -> Consumer:
    return reader(settings, "fraud-tail", {"enable.partition.eof": True})


def _go_on(before: Consumer, consumer: Consumer, start: int) -> Consumer:
    """Continue with another client at the positions of the one before."""
    places = before.position(before.assignment())
    before.close()
    for place in places:
        if place.offset < 0:  # no record was read yet
            place.offset = start
    consumer.assign(places)
    return consumer


def _assign(consumer: Consumer, topic: str, start: int) -> set[int]:
    partitions = consumer.list_topics(topic, ATTEMPT_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
    return set(partitions)


def _line(message: Message, stream: str, output: str) -> str:
    dead_letter = stream == DEAD_LETTERS
    if output == "json":
        return json.dumps(_machine(message, dead_letter=dead_letter))
    return "\n".join(record_words(message, dead_letter=dead_letter))


def _machine(message: Message, *, dead_letter: bool) -> dict[str, Any]:
    value = message.value()
    shown: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1],
        "key": (message.key() or b"").decode(errors="replace") or None,
    }
    # Dead letters may have any bytes, and so may records of others in the output topics.
    encoded = None if value is None else base64.b64encode(value).decode()
    if dead_letter:
        return {**shown, "deadLetter": dead_letter_of(message), "valueBase64": encoded}
    shown["decision"] = decision_json(message)
    try:
        return {**shown, "transaction": msgspec.json.decode(value or b"null")}
    except (ValueError, RecursionError):
        return {**shown, "transaction": None, "valueBase64": encoded}
