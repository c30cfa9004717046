"""Detectors at work and a console that shows them, as real processes on a real broker."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from tests.support.streaming import Service, Topics, until

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

# On a machine that others use too.
START_SECONDS = 120.0


class Scene:
    """Some detectors and a console; ended with the `with` block.

    Args:
        broker: that they use.
        topics: that they use.
        folder: for logs.
        rules: a file or a folder of FraudRules.
        detectors: how many.

    """

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        folder: Path,
        *,
        rules: str = "k8s/rules",
        detectors: int = 1,
    ) -> None:
        self.broker = broker
        self.topics = topics
        self._folder = folder
        self._environment = topics.environment(broker)
        self.detectors = [
            self.service("detector", str(n), INSTANCE_ID=str(n), RULES_PATH=rules)
            for n in range(detectors)
        ]
        self.console = self.service("console")
        self._running = ExitStack()

    def service(self, name: str, number: str = "", **settings: str) -> Service:
        """A service with the scene's topics, which is not started yet."""
        log = self._folder / f"{name}{number}.log"
        return Service(name, {**self._environment, **settings}, log)

    def __enter__(self) -> Self:
        for detector in self.detectors:
            self._running.enter_context(detector)
        self.addresses = [address(detector) for detector in self.detectors]
        for detector in self.detectors:
            _wait_until_ready(detector)
        self.console.add_environment(DETECTORS=",".join(self.addresses))
        self._running.enter_context(self.console)
        self.url = f"http://{address(self.console)}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def state(self) -> Any:
        """What the console's page is given."""
        return json.loads(self.console.get("/state")[1])


def address(service: Service) -> str:
    """Where a service's status endpoint is, once it is there."""
    started = until(lambda: service.lines("started"), f"{service.name} starts", START_SECONDS)
    return f"127.0.0.1:{started[-1]['status_port']}"


def _wait_until_ready(detector: Service) -> None:
    until(lambda: detector.get("/readyz")[0] == 200, "it has partitions", START_SECONDS)
