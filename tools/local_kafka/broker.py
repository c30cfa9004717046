"""One broker that is its own controller (KRaft), on loopback, with its data in a folder."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from services.errors import UserError
from tools.local_kafka.distribution import java, kafka_jars
from tools.this_machine import die_with_parent, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

# Seen: 3 s on two idle cores, and 21 s on two that eight others used.
START_SECONDS = 180.0
STOP_SECONDS = 20.0
TOPIC_SECONDS = 60.0
_LOOK_SECONDS = 0.05
# 16 bytes in base64. Not random: an id that starts with "-" would be parsed as an option.
_CLUSTER_ID = "fraud-detection-localA"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class BrokerError(UserError):
    """The broker did not start; the text has the end of its log."""


class Broker:
    """A broker process. It ends with the process that started it, however that ends.

    After a stop and a start it has the same address and data. Start it from a
    thread that lives as long as the process: Linux takes the end of that thread for the parent's.

    Args:
        host: Address to listen on.
        properties: Settings of the broker that replace or extend the built-in ones.

    """

    def __init__(
        self, host: str = "127.0.0.1", properties: Mapping[str, str] | None = None
    ) -> None:
        self._host = host
        self._properties = properties or {}
        self._jars = kafka_jars()
        self._java = java()
        self._folder = tempfile.TemporaryDirectory(prefix="fraud-kafka-")
        self._port, self._controller = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None
        self._format()

    @property
    def bootstrap(self) -> str:
        """The address for clients, as host:port."""
        return f"{self._host}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id, 0 if it does not run."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start, and return when the broker answers clients.

        Raises:
            BrokerError: It exited, or did not answer in time.

        """
        self.launch()
        self.wait_until_answered()

    def launch(self) -> None:
        """Start the process without waiting for it: one of several brokers is no quorum."""
        self._process = self._spawn(
            "-Xmx1g", "kafka.Kafka", f"{self._folder.name}/server.properties"
        )

    def wait_until_answered(self) -> None:
        """Wait, after `launch`, until the broker answers clients.

        Raises:
            BrokerError: It exited, or did not answer in time.

        """
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.bootstrap):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise BrokerError(f"Kafka did not start; its log ends:\n{self._log_tail()}")
            time.sleep(_LOOK_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        """Stop and keep the data; with `kill` at once and without a shutdown, as in a crash."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop and delete the data."""
        self.stop(kill=True)
        self._folder.cleanup()

    def _format(self) -> None:
        properties = Path(self._folder.name, "server.properties")
        built_in = _PROPERTIES.format(
            host=self._host,
            port=self._port,
            controller=self._controller,
            folder=self._folder.name,
        )
        # Of a duplicate name the last value counts.
        added = "".join(f"{name}={value}\n" for name, value in self._properties.items())
        properties.write_text(built_in + added, encoding="utf-8")
        arguments = ["format", "-t", _CLUSTER_ID, "-c", str(properties)]
        if self._spawn("-Xmx256m", "kafka.tools.StorageTool", *arguments).wait():
            raise BrokerError(f"Kafka's folder was not made; its log ends:\n{self._log_tail()}")

    def _spawn(self, memory: str, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        options = [memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        if main == "kafka.Kafka":
            options = [memory, "-XX:+UseG1GC", "-Xshare:auto"]
        logging = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        with Path(self._folder.name, "broker.log").open("ab") as log:
            return subprocess.Popen(
                [self._java, *options, *logging, "-cp", f"{self._jars}/*", main, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C goes to the program, which then stops its broker
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
            )

    def _log_tail(self) -> str:
        text = Path(self._folder.name, "broker.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.rstrip().split("\n")[-15:])


def create_topics(
    bootstrap: str, partitions: Mapping[str, int], config: Mapping[str, str] | None = None
) -> None:
    """Create topics, and return when they can be used.

    Args:
        bootstrap: Address of the broker, as host:port.
        partitions: Number of partitions of each topic, by its name.
        config: Settings for all of these topics.

    Raises:
        KafkaException: A topic could not be created.
        BrokerError: A topic was created but still has no leader.

    """
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [
        # The number of copies is the broker's default.replication.factor: 1 for a single broker.
        NewTopic(name, num_partitions=n, replication_factor=-1, config=dict(config or {}))
        for name, n in partitions.items()
    ]
    for future in admin.create_topics(wanted).values():
        future.result()
    deadline = time.monotonic() + TOPIC_SECONDS
    while not _led(admin, partitions):
        if time.monotonic() > deadline:
            raise BrokerError(f"no leader for {', '.join(partitions)} within {TOPIC_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


def _led(admin: AdminClient, partitions: Mapping[str, int]) -> bool:
    """True if each partition has a leader, without which nothing can be written or read."""
    topics = admin.list_topics(timeout=TOPIC_SECONDS).topics
    leaders = {name: [p.leader for p in topics[name].partitions.values()] for name in topics}
    return all(
        len(found := leaders.get(name, [])) == n and min(found) >= 0
        for name, n in partitions.items()
    )


def _answers(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        # It listens a little before the controller allows it to hold partitions.
        return bool(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=5).brokers)
    except (OSError, KafkaException):
        return False
