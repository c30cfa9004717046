"""Certificates that are renewed while the services run: they make their clients anew."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaException

from services.certificates import Authority
from services.settings import KafkaSettings, load
from services.streams import clients
from services.streams.clients import Certificates, client_config
from tests.end_to_end.verdicts import problems
from tests.support.streaming import Service, Topics, read_all, until, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker


def write(path: Path) -> None:
    """Write another certificate, as a mounted Secret is swapped: whole."""
    new = path.with_suffix(".new")
    new.write_bytes(Authority.new("kafka", timedelta(days=1)).certificate)
    new.rename(path)


@pytest.mark.kafka
def test_services_go_on_with_certificates_that_are_renewed(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.crt"
    write(trusted)
    environment = topics.environment(broker) | {"KAFKA_SSL_CA_LOCATION": str(trusted)}
    generator = Service(
        "generator", environment | {"TRANSACTIONS_PER_SECOND": "500"}, tmp_path / "generator.log"
    )
    detector = Service("detector", environment, tmp_path / "detector.log")
    with generator, detector:
        wait_for(broker, topics.outputs, 500)
        write(trusted)
        until(lambda: generator.lines("certificates renewed"), "the generator's are renewed")
        until(lambda: detector.lines("certificates renewed"), "the detector's are renewed")
        until(lambda: len(detector.lines("partitions ready")) == 2, "partitions are back")
        assert generator.stop() == 0
        written = generator.lines("stopped")[-1]["acknowledged"]
        wait_for(broker, topics.outputs, written)
        assert detector.stop() == 0
        assert len(detector.lines("started")) == len(generator.lines("started")) == 1
    inputs = read_all(broker, [topics.transactions])
    assert len(inputs) == written
    assert problems(inputs, read_all(broker, topics.outputs)) == []


def certificates(path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    from services.detector.settings import DetectorSettings  # noqa: PLC0415 - only here

    monkeypatch.setattr(clients, "LOOK_EVERY_SECONDS", 0.0)
    return Certificates(load(DetectorSettings, {"KAFKA_SSL_CA_LOCATION": str(path)}))


def test_files_as_they_were_are_not_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ca.crt")
    assert not certificates(tmp_path / "ca.crt", monkeypatch).renewed()


def test_a_link_that_is_swapped_is_a_renewal_and_a_file_that_is_away_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "ca.crt")
    data = tmp_path / "..data"
    data.symlink_to(tmp_path / "first")
    known = certificates(data / "ca.crt", monkeypatch)
    assert not known.renewed()
    data.unlink()
    assert not known.renewed()
    data.symlink_to(tmp_path / "second")
    assert known.renewed()
    shutil.rmtree(tmp_path / "second")
    assert not known.renewed()


def test_a_folder_of_authorities_is_renewed_with_any_of_its_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ca.crt")
    known = certificates(tmp_path, monkeypatch)
    (tmp_path / "ca.password").write_text("secret")
    assert not known.renewed()
    write(tmp_path / "ca-2026.crt")
    assert known.renewed()
    (tmp_path / "ca-2026.crt").unlink()
    assert not known.renewed()
    (tmp_path / "ca.crt").unlink()
    assert not known.renewed()


def test_a_folder_without_authorities_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(KafkaException, match=r"KAFKA_SSL_CA_LOCATION: .* has no file \*\.crt"):
        client_config(KafkaSettings(kafka_ssl_ca_location=str(tmp_path)), "test")


def test_without_authorities_of_its_own_a_client_trusts_the_systems() -> None:
    encrypted = client_config(KafkaSettings(kafka_security_protocol="SSL"), "test")
    assert encrypted["ssl.ca.location"] == "probe"
    assert not [name for name in client_config(KafkaSettings(), "test") if name.startswith("ssl.")]


def test_without_files_there_is_nothing_to_renew() -> None:
    from services.detector.settings import DetectorSettings  # noqa: PLC0415 - only here

    assert not Certificates(load(DetectorSettings, {})).renewed()
