"""Services as processes on a real broker, and topics read from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from tools.demo.tally import close_at_end, ends
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tools.local_kafka import Broker

# What takes a second on an idle machine may take a minute beside other work.
WAIT_SECONDS = 180.0
T = TypeVar("T")


class Topics(NamedTuple):
    """The topics of one test."""

    transactions: str
    legit: str
    fraud: str
    dead_letters: str

    @classmethod
    def numbered(cls, n: int) -> Self:
        """Names that no other test has."""
        return cls(*(f"test-{n}.{name}" for name in cls._fields))

    @property
    def outputs(self) -> tuple[str, str, str]:
        """Where verdicts and dead letters go."""
        return self.legit, self.fraud, self.dead_letters

    def environment(self, broker: Broker) -> dict[str, str]:
        """The settings that make a service use these topics."""
        return {
            "KAFKA_BROKER_URL": broker.bootstrap,
            "TRANSACTIONS_TOPIC": self.transactions,
            "LEGIT_TOPIC": self.legit,
            "FRAUD_TOPIC": self.fraud,
            "DEAD_LETTER_TOPIC": self.dead_letters,
            "CONSUMER_GROUP": f"group-{self.transactions}",
            "INSTANCE_ID": "test",
        }


class Service:
    """`python -m services.NAME` with only the given settings; ended with the `with` block."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started_before = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, module: str = "") -> None:
        """Start, as a new process."""
        bare = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._started_before = len(self.lines("started"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module or f"services.{self.name}"],
                env=bare | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def add_environment(self, **settings: str) -> None:
        """Set more settings, for the next start."""
        self._environment = self._environment | settings

    def kill(self) -> None:
        """End it as a crash does: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WAIT_SECONDS)

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        assert self._process is not None
        return self._process.wait(WAIT_SECONDS)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What it logged of an event."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        marked = [line for line in text.split("\n") if f'"event": "{event}"' in line]
        return [json.loads(line) for line in marked]

    def text(self) -> str:
        """All that it printed."""
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> tuple[int, str]:
        """Ask its status endpoint; the HTTP status and the body."""
        started = until(
            lambda: self.lines("started")[self._started_before :], f"{self.name} started"
        )
        port = started[-1]["status_port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def until(probe: Callable[[], T], what: str, seconds: float = WAIT_SECONDS) -> T:
    """Wait for a probe to give something true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)  # between two looks; the condition is the probe's
    return found


def delete_before(broker: Broker, topic: str, partition: int, offset: int) -> None:
    """Delete the records of a partition that are before an offset."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    (cut,) = admin.delete_records([TopicPartition(topic, partition, offset)]).values()
    cut.result(60)


def produce(
    broker: Broker, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], **more: Any
) -> None:
    """Write records (key, value) and wait until they are acknowledged."""
    failures: list[KafkaError] = []
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "enable.idempotence": True,
            "message.max.bytes": 2 * 1024 * 1024,
            "partitioner": "murmur2_random",
        }
    )
    for key, value in records:
        producer.produce(
            topic,
            value,
            key,
            on_delivery=lambda error, _: failures.append(error) if error else None,
            **more,
        )
        producer.poll(0)
    assert producer.flush(WAIT_SECONDS) == 0
    assert not failures


def read_all(broker: Broker, topics: Iterable[str]) -> list[Message]:
    """Read every committed record of some topics, to their ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "outside",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": 4 * 1024 * 1024,
        }
    )
    left = ends(broker.bootstrap, topics)
    consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in left])
    records = []
    deadline = time.monotonic() + WAIT_SECONDS  # a broker that was away takes its time
    while left:
        assert time.monotonic() < deadline, f"a transaction stays open in {sorted(left)}"
        for message in consumer.consume(5000, 0.1):
            error = message.error()
            if error is None:
                records.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                close_at_end(left, message)
    consumer.close()
    return records


def wait_for(broker: Broker, topics: Iterable[str], n: int) -> list[Message]:
    """Wait until some topics hold n committed records, and return them."""
    names = list(topics)

    def enough() -> list[Message]:
        found = read_all(broker, names)
        return found if len(found) >= n else []

    return until(enough, f"{n} records in {names}")
