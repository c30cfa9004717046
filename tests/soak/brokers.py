"""Three brokers on loopback, each of them a controller too."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tools.local_kafka import Broker
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

BROKERS = 3
_REPLICATED = {
    f"{topic}.{setting}": value
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    for setting, value in (("replication.factor", "3"), ("min.isr", "2"))
    if (topic, setting) != ("offsets.topic", "min.isr")  # there is no such setting
}


class Member(Broker):
    """One of several brokers.

    Args:
        node: Number of the broker, from 1 on.
        port: Port for clients.
        controllers: Port of each controller, by node.

    """

    def __init__(self, node: int, port: int, controllers: Mapping[int, int]) -> None:
        voters = ",".join(f"{n}@127.0.0.1:{p}" for n, p in controllers.items())
        clients = f"PLAINTEXT://127.0.0.1:{port}"
        super().__init__(
            properties={
                "node.id": str(node),
                "controller.quorum.voters": voters,
                "listeners": f"{clients},CONTROLLER://127.0.0.1:{controllers[node]}",
                "advertised.listeners": clients,
                "default.replication.factor": str(BROKERS),
                "min.insync.replicas": "2",
                **_REPLICATED,
            }
        )
        self._port = port


class Brokers:
    """Three brokers that replicate everything; ended with the `with` block."""

    def __init__(self) -> None:
        ports = free_ports(2 * BROKERS)
        controllers = {n + 1: ports[BROKERS + n] for n in range(BROKERS)}
        self.members = [Member(n + 1, ports[n], controllers) for n in range(BROKERS)]

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, with commas."""
        return ",".join(member.bootstrap for member in self.members)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        for member in self.members:
            self._stack.callback(member.close)
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_until_answered()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
