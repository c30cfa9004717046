"""`fraud tail`: a topic's records as they come."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from services.records.reading import reader
from services.records.words import dead_letter_of, decision_of, record_words
from services.settings import SettingError
from services.streams.clients import ATTEMPT_SECONDS, missing_topics

if TYPE_CHECKING:
    import argparse

    from confluent_kafka import Consumer, Message

    from services.detector.settings import DetectorSettings


_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's public name


def tail(settings: DetectorSettings, stream: str, options: argparse.Namespace) -> int:
    """Print records until interrupted, or as many as asked for.

    Raises:
        SettingError: there is no such topic.
        KafkaException: the broker cannot be reached.

    """
    topic = {
        "legit": settings.legit_topic,
        "fraud": settings.fraud_topic,
        "dead-letters": settings.dead_letter_topic,
    }[stream]
    if missing_topics(settings, [topic]):
        raise SettingError(f"no topic {topic} at {settings.kafka_broker_url}, or no right to it")
    consumer = reader(settings, "fraud-tail", {"enable.partition.eof": True})
    shown = 0
    try:
        open_partitions = _assign(consumer, topic, from_beginning=options.from_beginning)
        while open_partitions or not options.exit_at_end:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if error := message.error():
                if error.code() != _END_OF_PARTITION:
                    raise KafkaException(error)
                open_partitions.discard(message.partition())
                continue
            sys.stdout.write(_line(message, options.output) + "\n")
            sys.stdout.flush()
            shown += 1
            if shown == options.limit:
                break
    finally:
        consumer.close()
    return 0


def _assign(consumer: Consumer, topic: str, *, from_beginning: bool) -> set[int]:
    partitions = consumer.list_topics(topic, ATTEMPT_SECONDS).topics[topic].partitions
    start = OFFSET_BEGINNING if from_beginning else OFFSET_END
    consumer.assign([TopicPartition(topic, partition, start) for partition in partitions])
    return set(partitions)


def _line(message: Message, output: str) -> str:
    return json.dumps(_machine(message)) if output == "json" else "\n".join(record_words(message))


def _machine(message: Message) -> dict[str, Any]:
    value = message.value()
    told: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1],
        "key": (message.key() or b"").decode(errors="replace") or None,
    }
    if dead := dead_letter_of(message):
        # A dead letter may be any bytes at all.
        encoded = None if value is None else base64.b64encode(value).decode()
        return {**told, "deadLetter": dead, "valueBase64": encoded}
    return {**told, "decision": decision_of(message), "transaction": json.loads(value or b"null")}
