from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.certificates import Authority, expiry
from services.settings import KafkaSettings
from services.streams.clients import Certificates
from services.telemetry import metrics

if TYPE_CHECKING:
    from pathlib import Path


def test_the_end_of_the_certificates_in_use_is_told(tmp_path: Path) -> None:
    authority = Authority.new("ours", timedelta(days=30))
    pair = authority.issue("detector", timedelta(days=3))
    ca, certificate, key = (tmp_path / name for name in ("ca.crt", "user.crt", "user.key"))
    ca.write_bytes(authority.certificate)
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    Certificates(
        KafkaSettings(
            kafka_security_protocol="SSL",
            kafka_ssl_ca_location=str(ca),
            kafka_ssl_certificate_location=str(certificate),
            kafka_ssl_key_location=str(key),
        )
    )
    (family,) = metrics.CERTIFICATE_EXPIRY.collect()
    told = {sample.labels["certificate"]: sample.value for sample in family.samples}
    assert told["kafka-client"] == expiry(pair.certificate).timestamp()
    assert told["kafka-ca"] == expiry(authority.certificate).timestamp()


def test_a_file_that_is_no_certificate_is_for_the_client_to_complain_of(tmp_path: Path) -> None:
    broken = tmp_path / "ca.crt"
    broken.write_bytes(b"no certificate")
    settings = KafkaSettings(kafka_security_protocol="SSL", kafka_ssl_ca_location=str(broken))
    assert not Certificates(settings).renewed()


def test_of_several_authorities_the_last_to_end_counts(tmp_path: Path) -> None:
    for name, days in (("old", 1), ("new", 30)):
        new = Authority.new(name, timedelta(days=days))
        (tmp_path / f"{name}.crt").write_bytes(new.certificate)
    Certificates(KafkaSettings(kafka_ssl_ca_location=str(tmp_path)))
    (family,) = metrics.CERTIFICATE_EXPIRY.collect()
    told = {sample.labels["certificate"]: sample.value for sample in family.samples}
    assert told["kafka-ca"] == expiry(new.certificate).timestamp()
