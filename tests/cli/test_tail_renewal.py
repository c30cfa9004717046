from __future__ import annotations

import importlib
import io
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.certificates import Authority
from services.cli import main as fraud
from services.streams import clients
from tests.support.streaming import produce, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

PAYMENT = b'{"source": "a", "target": "b", "amount": 950.0, "currency": "USD"}'


@pytest.mark.kafka
def test_tail_reads_on_where_it_was_with_certificates_that_are_renewed(
    broker: Broker,
    topics: Topics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def renew() -> None:
        authority = Authority.new("kafka", timedelta(days=1))
        (tmp_path / "ca.crt").write_bytes(authority.certificate)

    renew()
    environment = topics.environment(broker) | {"KAFKA_SSL_CA_LOCATION": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "LOOK_EVERY_SECONDS", 0.0)
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    made: list[Any] = []
    tail = importlib.import_module("services.cli.tail")  # services.cli.tail is its function
    reader = tail.reader

    def counted(*arguments: Any) -> Any:
        made.append(reader(*arguments))
        return made[-1]

    monkeypatch.setattr(tail, "reader", counted)

    def renew_between_two_records() -> None:
        until(lambda: "\n" in out.getvalue(), "it has shown the first record")
        renew()
        until(lambda: len(made) == 2, "it reads with another client")
        produce(broker, topics.legit, [(b"2", PAYMENT)])

    produce(broker, topics.legit, [(b"1", PAYMENT)])
    writer = threading.Thread(target=renew_between_two_records)
    writer.start()
    command = ["tail", "legit", "--from-beginning", "--limit", "2", "--output", "json"]
    assert fraud(command) == 0
    writer.join()
    shown = [json.loads(line)["key"] for line in out.getvalue().splitlines()]
    assert shown == ["1", "2"]
