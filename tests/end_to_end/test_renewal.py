"""Certificates that are renewed while the services run: they make their clients anew."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.certificates import Authority
from services.settings import load
from services.streams import clients
from services.streams.clients import Certificates
from tests.end_to_end.verdicts import problems
from tests.streaming import Service, Topics, read_all, until, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from services.local_kafka import Broker


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


def test_without_files_there_is_nothing_to_renew() -> None:
    from services.detector.settings import DetectorSettings  # noqa: PLC0415 - only here

    assert not Certificates(load(DetectorSettings, {})).renewed()
