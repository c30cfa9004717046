"""The detector's work in Kafka Streams, three ways (Variant.java): what ours is measured against.

python -m tests.bench.kafka_streams
"""

from tests.bench.kafka_streams.build import VARIANTS, command, contender

__all__ = ["VARIANTS", "command", "contender"]
