"""The brokers' authority is replaced while services run, and certificates are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.certificates import Authority
from services.cli import main as fraud
from services.detector.settings import DetectorSettings
from services.settings import load
from services.streams.tls import rejection
from tests.end_to_end.verdicts import problems
from tests.strimzi.broker import TlsBroker
from tests.support.kafka import make_topics
from tests.support.streaming import Service, read_all, until, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kafka
DAY = timedelta(days=1)
OLD, NEW, CLIENTS = (Authority.new(name, DAY) for name in ("old", "new", "clients"))


@pytest.fixture(scope="module")
def tls_broker() -> Iterator[TlsBroker]:
    """A broker that shows a certificate of the old authority, for 127.0.0.1 alone."""
    shown = OLD.issue("kafka", DAY, hosts=["127.0.0.1"])
    rights = {"allow.everyone.if.no.acl.found": True}
    with TlsBroker("127.0.0.1", shown, CLIENTS.certificate, rights) as running:
        yield running


class Mounted:
    """Files of a client, and a folder of authorities as kubelet mounts a Secret."""

    def __init__(self, folder: Path, broker: TlsBroker) -> None:
        self._folder, self._versions = folder, 0
        pair = CLIENTS.issue("app", DAY)
        (folder / "user.crt").write_bytes(pair.certificate)
        (folder / "user.key").write_bytes(pair.key)
        self.environment = {
            "KAFKA_BROKER_URL": f"127.0.0.1:{broker.tls_port}",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CA_LOCATION": str(folder / "cluster-ca"),
            "KAFKA_SSL_CERTIFICATE_LOCATION": str(folder / "user.crt"),
            "KAFKA_SSL_KEY_LOCATION": str(folder / "user.key"),
        }

    def swap(self, **authorities: Authority) -> None:
        """Replace all files of the folder at once, through the link `..data`."""
        self._versions += 1
        ca = self._folder / "cluster-ca"
        version = ca / f"..{self._versions}"
        version.mkdir(parents=True)
        (version / "ca.password").write_bytes(b"secret")
        for name, authority in authorities.items():
            (version / f"{name}.crt").write_bytes(authority.certificate)
        link = ca / "..new"
        link.symlink_to(version.name)
        link.rename(ca / "..data")
        for name in authorities:
            if not (ca / f"{name}.crt").is_symlink():
                (ca / f"{name}.crt").symlink_to(f"..data/{name}.crt")
        for file in ca.glob("*.crt"):
            if not file.exists():
                file.unlink()

    def rejection(self, **settings: str) -> str:
        """What is found when a client with other settings is refused."""
        given = {k: v for k, v in (self.environment | settings).items() if v}
        return rejection(load(DetectorSettings, given))


def test_no_record_is_given_up_while_the_authority_is_replaced(
    tls_broker: TlsBroker, tmp_path: Path
) -> None:
    """Takes 30 s: the client looks for renewed files every 5 s."""
    topics, mounted = make_topics(tls_broker), Mounted(tmp_path, tls_broker)
    mounted.swap(ca=OLD)
    environment = topics.environment(tls_broker) | mounted.environment
    generator = Service(
        "generator", environment | {"TRANSACTIONS_PER_SECOND": "200"}, tmp_path / "generator.log"
    )
    detector = Service("detector", environment, tmp_path / "detector.log")
    with generator, detector:
        wait_for(tls_broker, topics.outputs, 200)
        mounted.swap(ca=NEW)  # too early: the brokers still show the old one
        until(lambda: rejected(generator), "the broker is refused")
        mounted.swap(ca=NEW, before=OLD)  # what Strimzi's Secret holds meanwhile
        until(lambda: len(generator.lines("certificates renewed")) == 2, "renewed")
        known = len(read_all(tls_broker, [topics.transactions]))
        wait_for(tls_broker, [topics.transactions], known + 200)
        assert generator.stop() == 0
        said = generator.lines("stopped")[-1]
        assert (said["failed"], said["unacknowledged"]) == (0, 0)
        wait_for(tls_broker, topics.outputs, said["acknowledged"])
        assert detector.stop() == 0
        assert len(detector.lines("started")) == len(generator.lines("started")) == 1
    inputs = read_all(tls_broker, [topics.transactions])
    assert len({record.value() for record in inputs}) == said["sent"]
    assert problems(inputs, read_all(tls_broker, topics.outputs)) == []


def test_a_refused_certificate_is_the_reason_why_a_service_waits(
    tls_broker: TlsBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mounted = Mounted(tmp_path, tls_broker)
    mounted.swap(ca=NEW)
    environment = mounted.environment | {"INSTANCE_ID": "test"}
    with Service("detector", environment, tmp_path / "log") as detector:
        (first, *_) = until(lambda: rejected(detector), "it waits")
    assert first["level"] == "warning"
    assert "unable to get local issuer certificate" in first["reason"]
    assert "check KAFKA_SSL_CA_LOCATION" in first["reason"]
    with Service("console", mounted.environment, tmp_path / "console.log") as console:
        until(lambda: "unable to get local issuer" in console.get("/state")[1], "the page has it")
    for name, value in mounted.environment.items():
        monkeypatch.setenv(name, value)
    assert fraud(["tail", "fraud"]) == 2
    assert "unable to get local issuer certificate" in capsys.readouterr().err


def rejected(service: Service) -> list[dict[str, Any]]:
    """The lines that name a certificate as the reason of a wait."""
    lines = service.lines("waiting for Kafka")
    return [line for line in lines if "certificate of the broker" in line["reason"]]


def test_each_way_to_be_refused_has_its_reason(tls_broker: TlsBroker, tmp_path: Path) -> None:
    mounted = Mounted(tmp_path, tls_broker)
    mounted.swap(ca=OLD, another=NEW)
    assert mounted.rejection() == ""
    other_name = mounted.rejection(KAFKA_BROKER_URL=f"localhost:{tls_broker.tls_port}")
    assert "Hostname mismatch" in other_name
    anonymous = {"KAFKA_SSL_CERTIFICATE_LOCATION": "", "KAFKA_SSL_KEY_LOCATION": ""}
    assert "rejects the connection" in mounted.rejection(**anonymous)
    assert "unable to get" in mounted.rejection(
        KAFKA_SSL_CA_LOCATION=""
    )  # the system's authorities
    mounted.swap()
    assert "has no file *.crt" in mounted.rejection()
