"""A real Kafka broker on loopback, for the demo, the tests and the benchmarks. Not for production.

For example:

    with Broker() as broker:
        create_topics(broker.bootstrap, {"queueing.transactions": 4})
"""

from tools.local_kafka.broker import Broker, BrokerError, create_topics
from tools.local_kafka.distribution import VERSION
from tools.local_kafka.errors import DistributionError

__all__ = [
    "VERSION",
    "Broker",
    "BrokerError",
    "DistributionError",
    "create_topics",
]
