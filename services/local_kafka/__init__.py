"""A real Kafka broker on loopback, for the demo, the tests and the benchmarks. Not for production.

Used as in

    with Broker() as broker:
        create_topics(broker.bootstrap, {"queueing.transactions": 4})
"""

from services.local_kafka.broker import Broker, BrokerError, create_topics
from services.local_kafka.distribution import VERSION, DistributionError

__all__ = [
    "VERSION",
    "Broker",
    "BrokerError",
    "DistributionError",
    "create_topics",
]
