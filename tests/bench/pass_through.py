"""The yardstick: confluent-kafka with transactions of 10,000 that forwards and does nothing else.

Same client settings as the detector; key, value, headers and timestamp forwarded.
"""

from __future__ import annotations

import os
import signal

from confluent_kafka import Consumer, Producer

from services.settings import KafkaSettings, load
from services.streams.limit import MOST_RECORDS
from services.streams.session import BATCH_RECORDS
from services.streams.stream import Stream


def main() -> None:
    """Forward until SIGTERM."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    settings = load(KafkaSettings, os.environ)
    group = os.environ["CONSUMER_GROUP"]
    stream = Stream(
        settings=settings,
        topic=settings.transactions_topic,
        group=group,
        client_id="bare",
        instance_id="bare",
    )
    # The detector finds by itself where a partition goes on.
    consumer = Consumer(stream.consumer_config() | {"auto.offset.reset": "earliest"})
    producer = Producer(stream.producer_config())
    producer.init_transactions()
    consumer.subscribe([stream.topic])
    produce, topic = producer.produce, os.environ["LEGIT_TOPIC"]
    while not stopped:
        producer.begin_transaction()
        pending = 0
        while pending < MOST_RECORDS and not stopped:
            messages = consumer.consume(BATCH_RECORDS, 0.1)
            for m in messages:
                if m.error() is None:
                    _, at = m.timestamp()
                    produce(topic, m.value(), m.key(), -1, None, None, at, m.headers())
            pending += len(messages)
            if len(messages) < BATCH_RECORDS:
                break
        positions = [p for p in consumer.position(consumer.assignment()) if p.offset >= 0]
        if pending and positions:
            metadata = consumer.consumer_group_metadata()
            producer.send_offsets_to_transaction(positions, metadata)
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    consumer.close()


if __name__ == "__main__":
    main()
