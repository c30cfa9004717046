"""A broker that ends inside of a transaction: the loop goes on, whatever the client does."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition

from services.settings import KafkaSettings
from services.streams.commits import Commits
from services.streams.delivery import run
from services.streams.processing import Batch, Health
from services.streams.stream import Stream
from tests.support.kafka import make_topics
from tests.support.streaming import produce, until, wait_for
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.streams.group_consumer import GroupConsumer
    from services.streams.identity import TopicIdentity
    from services.streams.processing import Route
    from services.transactions import Rejection

pytestmark = pytest.mark.kafka


class Forwarding:
    """A processor that forwards everything, and ends the broker before the first commit."""

    def __init__(self, broker: Broker, topic: str, output: str) -> None:
        self.given_up = threading.Event()
        self._broker, self._topic, self._output = broker, topic, output
        self._new: list[int] = []
        self._ended = False

    def assigned(self, partitions: list[int]) -> None:
        """Take partitions on."""
        self._new += partitions

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        self._new = [p for p in self._new if p not in partitions]

    def process(self, batch: Batch) -> list[Route]:
        """Forward each record."""
        return [(self._output, None)] * len(batch.messages)

    def answer(self, routes: list[Route], headers: object) -> None:
        """Add nothing."""

    def undeliverable(self, place: tuple[int, int], rejection: Rejection) -> None:
        """No record is refused here."""
        raise AssertionError((place, rejection))

    def unreadable(self, partition: int, following: int) -> str:
        """No batch is unreadable here."""
        raise AssertionError((partition, following))

    def same_topic(self, _: TopicIdentity) -> bool:
        """The topic stays what it is."""
        return True

    def passed(self, _: GroupConsumer, __: set[int]) -> list[TopicPartition]:
        """There are records alone."""
        return []

    def look_up_again(self, _: GroupConsumer, partitions: list[int]) -> None:
        """The log stays what it is."""
        raise AssertionError(partitions)

    def note(self, _: int) -> str:
        """The records are written and the offsets are about to be sent."""
        if not self._ended:
            self._ended = True
            self._broker.stop(kill=True)
        return ""

    def committed(self, _: Mapping[int, int]) -> None:
        """Do nothing."""

    def rewound(self, _: Mapping[int, int]) -> dict[int, int]:
        """Go on at the committed offsets."""
        return {}

    def aborted(self) -> None:
        """Notice that the loop has moved on."""
        if self._ended:
            self.given_up.set()

    def between_transactions(self, consumer: GroupConsumer) -> bool:
        """Begin to read partitions that were assigned."""
        if self._new:
            asked = [TopicPartition(self._topic, p) for p in self._new]
            for place in consumer.committed(asked, 5.0):
                self._new.remove(place.partition)
                place.offset = max(place.offset, 0)
                consumer.fetch(place.partition, place.offset)
        return False


def clients_without_a_call() -> int:
    """Count the clients of this process that no overdue call holds."""
    comms = Path("/proc/self/task").glob("*/comm")
    clients = sum(comm.read_text() == "rdk:main\n" for comm in comms)
    return clients - sum(thread.name == "kafka-call" for thread in threading.enumerate())


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """As rarely as a detector collects: a session has to end its clients itself."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_the_loop_moves_on_when_the_broker_ends_inside_of_a_transaction() -> None:
    """The broker comes back only after the loop has moved on: no call may wait for it."""
    with Broker() as broker:
        topics = make_topics(broker)
        stream = Stream(
            settings=KafkaSettings(kafka_broker_url=broker.bootstrap),
            topic=topics.transactions,
            group="forwarding",
            client_id="forwarding",
            instance_id="forwarding",
        )
        processor = Forwarding(broker, topics.transactions, topics.legit)
        stop, health = threading.Event(), Health()
        before = clients_without_a_call()
        produce(broker, topics.transactions, [(None, str(n).encode()) for n in range(100)])
        loop = threading.Thread(
            target=run, args=(stream, processor, stop, health, Commits()), daemon=True
        )
        loop.start()
        until(processor.given_up.is_set, "the transaction is given up", 120.0)
        broker.start()
        out = wait_for(broker, [topics.legit], 100)
        produce(broker, topics.transactions, [(None, b"last")])
        out = wait_for(broker, [topics.legit], 101)
        stop.set()
        loop.join(60.0)
        assert not loop.is_alive()
        until(lambda: clients_without_a_call() <= before, "the abandoned clients have ended")
        assert Counter(m.value() for m in out).most_common(1)[0][1] == 1
