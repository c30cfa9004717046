"""The broker as a process.

Each one of its own costs 3 to 5 s; one that was killed, 9 s more: so long does the controller keep
its place.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException

from tests.support.streaming import produce, read_all, until
from tools.local_kafka import Broker, BrokerError, create_topics

if TYPE_CHECKING:
    from tests.support.streaming import Topics

pytestmark = pytest.mark.kafka

RECORD = (b"key", b"value")
A_PARENT = """
import signal
from tools.local_kafka import Broker
with Broker() as broker:
    print(broker.pid, flush=True)
    signal.pause()
"""


def runs(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent's notice (Z) does not."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def data_folders(folder: Path) -> list[Path]:
    return list(folder.glob("fraud-kafka-*"))


def test_what_is_written_can_be_read(broker: Broker, topics: Topics) -> None:
    produce(broker, topics.transactions, [RECORD])
    (record,) = read_all(broker, [topics.transactions])
    assert (record.key(), record.value()) == RECORD


def test_each_test_has_topics_of_its_own(broker: Broker, topics: Topics) -> None:
    assert read_all(broker, topics) == []


def test_a_topic_that_exists_is_not_created_again(broker: Broker, topics: Topics) -> None:
    with pytest.raises(KafkaException, match="already exists"):
        create_topics(broker.bootstrap, {topics.transactions: 1})


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_restarted_broker_has_its_address_and_its_data(kill: bool) -> None:
    with Broker() as broker:
        create_topics(broker.bootstrap, {"kept": 1})
        produce(broker, "kept", [RECORD])
        bootstrap = broker.bootstrap
        broker.stop(kill=kill)
        assert broker.pid == 0
        broker.start()
        assert broker.bootstrap == bootstrap
        assert [r.value() for r in read_all(broker, ["kept"])] == [RECORD[1]]


def test_a_closed_broker_leaves_neither_process_nor_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Broker() as broker:
        pid = broker.pid
        assert runs(pid)
        assert len(data_folders(tmp_path)) == 1
    assert not runs(pid)
    assert data_folders(tmp_path) == []


def test_a_broker_that_cannot_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broker = Broker()
    taken = socket.create_server(("127.0.0.1", broker._controller))
    with taken, pytest.raises(BrokerError, match="Address already in use"):
        broker.__enter__()
    assert broker.pid == 0
    assert data_folders(tmp_path) == []


def test_it_dies_with_its_parent_even_by_kill_9(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", A_PARENT], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not runs(pid), "the broker ended")
