"""The seed's own detector: kafka-python, one record at a time, one comparison."""

from __future__ import annotations

import json
import os
import sys

from kafka import KafkaConsumer, KafkaProducer


def main() -> None:
    """Forward COUNT records and print the CPU seconds and the seconds that they took."""
    count = int(os.environ["COUNT"])
    consumer = KafkaConsumer(
        os.environ["TRANSACTIONS_TOPIC"],
        bootstrap_servers=os.environ["KAFKA_BROKER_URL"],
        auto_offset_reset="earliest",
        group_id=os.environ["CONSUMER_GROUP"],
        value_deserializer=json.loads,
    )
    producer = KafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BROKER_URL"],
        value_serializer=lambda value: json.dumps(value).encode(),
    )
    begun = os.times()
    for n, message in enumerate(consumer, start=1):
        transaction = message.value
        fraud = transaction["amount"] >= 900
        producer.send(os.environ["FRAUD_TOPIC" if fraud else "LEGIT_TOPIC"], value=transaction)
        if n == 1:
            begun = os.times()
        if n == count:
            break
    producer.flush()
    now = os.times()
    cpu = now.user + now.system - begun.user - begun.system
    sys.stdout.write(json.dumps({"cpu": cpu, "seconds": now.elapsed - begun.elapsed}))


if __name__ == "__main__":
    main()
