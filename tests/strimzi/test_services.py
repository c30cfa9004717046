"""Generator, detector and `fraud tail` as the chart's users: the rights are enough."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from confluent_kafka.admin import AdminClient

from services.cli import main as fraud
from services.streams.clients import client_config
from services.streams.ownership import assigned
from tests.end_to_end.verdicts import problems
from tests.strimzi.attempts import OK, rejection
from tests.support.streaming import Service, produce, read_all, until, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.strimzi.identity import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.kubernetes]

TRANSACTIONS = "queueing.transactions"
OUTPUTS = [f"streaming.transactions.{name}" for name in ("legit", "fraud", "dead-letters")]
GROUP = "fraud-detector"
PARTITIONS = 4
COUNT = 2000
# Seen: a detector is ready after 2 s on idle cores.
SHORT_SECONDS = 25
SETTINGS = {"TRANSACTIONS_COUNT": str(COUNT), "TRANSACTIONS_PER_SECOND": "max"}


def detector(cluster: Cluster, folder: Path, name: str) -> Service:
    """A detector with windows, that says all that goes wrong in it."""
    environment = cluster.environment("detector", folder / "detector")
    more = {"INSTANCE_ID": name, "LOG_LEVEL": "debug", "CONSUMER_GROUP": GROUP}
    return Service("detector", environment | more, folder / f"{name}.log")


def generate(cluster: Cluster, folder: Path) -> None:
    """Have the generator write so many transactions, all of which are acknowledged."""
    environment = cluster.environment("generator", folder / "generator")
    with Service("generator", environment | SETTINGS, folder / "generator.log") as generator:
        assert generator.wait() == 0, generator.text()


def complaints(service: Service) -> list[str]:
    """Lines that tell of a right that is missing, or of anything else that went wrong."""
    lines = service.text().split("\n")
    marks = ("AUTHORIZATION", "not authorized", "group not described", '"level": "warning"')
    # A broker that has just started, of which librdkafka tells while it asks again.
    young = ("Coordinator load in progress: retrying", "Not coordinator: retrying")
    return [
        line
        for line in lines
        if any(mark.lower() in line.lower() for mark in marks)
        and not any(mark in line for mark in young)
    ]


@pytest.mark.filterwarnings("ignore:list_groups:DeprecationWarning")  # as the detector asks
def test_every_transaction_has_its_verdict(cluster: Cluster, tmp_path: Path) -> None:
    broker = cluster.stand_in.broker
    with (
        detector(cluster, tmp_path, "first") as first,
        detector(cluster, tmp_path, "second") as second,
    ):
        # A commit in the middle of a rebalance is aborted, which is a warning too.
        until(lambda: first.lines("partitions ready"), "the first has partitions")
        until(lambda: second.lines("partitions ready"), "the second has its share of them")
        produce(broker, TRANSACTIONS, [(b"a", b"no transaction")])
        generate(cluster, tmp_path)
        found = wait_for(broker, OUTPUTS, COUNT + 1)
        assert problems(read_all(broker, [TRANSACTIONS]), found) == []
        assert {message.topic() for message in found} == set(OUTPUTS)

        # One that begins again reads its windows from the log, from the place that a time has.
        admin = AdminClient(client_config(cluster.settings("detector", tmp_path / "a"), "tests"))
        until(lambda: owned(admin) == list(range(PARTITIONS)), "each partition has an owner")
        first.kill()
        first.start()
        until(lambda: len(first.lines("started")) == 2, "the first is there again")
        generate(cluster, tmp_path)
        wait_for(broker, OUTPUTS, 2 * COUNT + 1)
        until(lambda: first.get("/readyz")[0] == 200, "windows are there")
        assert "fraud_replayed_records_total 0.0" not in first.get("/metrics")[1]
        assert [first.stop(), second.stop()] == [0, 0]
    assert problems(read_all(broker, [TRANSACTIONS]), read_all(broker, OUTPUTS)) == []
    assert complaints(first) + complaints(second) == []


def owned(admin: AdminClient) -> list[int]:
    """The partitions that the group's members have, as each detector asks for them."""
    (group,) = cast("list[Any]", admin.list_groups(GROUP, 5))  # typed as always None
    return sorted(p for member in group.members for p in assigned(member.assignment, TRANSACTIONS))


def test_verdicts_are_shown_to_readers(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generate(cluster, tmp_path)
    with detector(cluster, tmp_path, "one"):
        (flagged, *_) = wait_for(cluster.stand_in.broker, OUTPUTS[1:2], 1)
    for name, value in cluster.environment("tail", tmp_path / "tail").items():
        monkeypatch.setenv(name, value)
    assert fraud(["tail", "fraud", "--from-beginning", "--limit", "1", "--output", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["topic"] == flagged.topic()
    assert shown["decision"]["verdict"] == "fraud"


def test_a_test_transaction_goes_through_with_the_rights_of_its_user(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in cluster.environment("tester", tmp_path / "tester").items():
        monkeypatch.setenv(name, value)
    with detector(cluster, tmp_path, "one") as one:
        until(lambda: one.lines("partitions ready"), "the detector has its partitions")
        assert fraud(["round-trip"]) == 0
    said = capfd.readouterr()
    assert "verdict: legit after" in said.out
    # It has no group, and does not complain of it. Tests' own clients, which log as librdkafka does
    # by itself, may still be heard from before.
    assert [line for line in said.err.splitlines() if not line.startswith("%")] == []


def test_frauds_are_shown_to_the_console(cluster: Cluster, tmp_path: Path) -> None:
    value = b'{"source": "seen", "target": "b", "amount": 950.0, "currency": "USD"}'
    environment = cluster.environment("console", tmp_path / "console")
    more = {"DETECTORS": "127.0.0.1:1", "LOG_LEVEL": "debug"}
    with (
        detector(cluster, tmp_path, "one"),
        Service("console", environment | more, tmp_path / "console.log") as console,
    ):
        produce(cluster.stand_in.broker, TRANSACTIONS, [(b"seen", value)])
        until(lambda: '"seen"' in console.get("/state")[1], "the fraud is shown")
        assert console.stop() == 0
    assert complaints(console) == []


def test_a_renewed_certificate_serves_once_its_client_begins_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.stand_in.renew("detector", timedelta(seconds=5))
    config = client_config(cluster.settings("detector", tmp_path / "detector"), "tests")
    assert rejection(config) == OK
    until(lambda: "SSL alert number" in rejection(config), "the certificate has ended")
    with detector(cluster, tmp_path, "one") as one:
        until(lambda: one.lines("waiting for Kafka"), "the broker does not let it in")
        cluster.stand_in.renew("detector")
        cluster.environment("detector", tmp_path / "detector")  # as kubelet refreshes the files
        assert one.stop() == 0
        one.start()
        until(lambda: one.lines("partitions ready"), "the detector has its partitions")
    assert rejection(config) == OK


def test_a_certificate_that_is_renewed_in_time_serves_without_a_restart(
    cluster: Cluster, tmp_path: Path
) -> None:
    broker = cluster.stand_in.broker
    cluster.stand_in.renew("detector", timedelta(seconds=SHORT_SECONDS))
    ends = client_config(cluster.settings("detector", tmp_path / "old"), "tests")
    with detector(cluster, tmp_path, "one") as one:
        until(lambda: one.lines("partitions ready"), "the detector has its partitions")
        cluster.stand_in.renew("detector")
        cluster.environment("detector", tmp_path / "detector")
        until(lambda: one.lines("certificates renewed"), "the detector has looked")
        until(lambda: "SSL alert number" in rejection(ends), "the old certificate has ended")
        broker.stop(kill=True)  # and with it all connections that the old one has opened
        broker.start()
        before = len(read_all(broker, OUTPUTS))
        generate(cluster, tmp_path)
        wait_for(broker, OUTPUTS, before + COUNT)
        assert len(one.lines("started")) == 1
        assert one.stop() == 0
    assert problems(read_all(broker, [TRANSACTIONS]), read_all(broker, OUTPUTS)) == []
