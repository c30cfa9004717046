"""TLS to the brokers: the trusted authorities, and the reason for which a handshake fails."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

    from services.settings import KafkaSettings

_PROTOCOLS = {"SSL", "SASL_SSL"}
# Applies to the connection and to the handshake separately.
_HANDSHAKE_SECONDS = 2.0
# In TLS 1.3 a client learns of the rejection of its certificate after its own handshake.
_ALERT_SECONDS = 1.0


def uses_tls(settings: KafkaSettings) -> bool:
    """True if the brokers are reached with TLS."""
    return settings.kafka_security_protocol in _PROTOCOLS


def authorities(location: str) -> bytes:
    """Read the certificates of authorities, as PEM.

    While Strimzi replaces an authority, its Secret holds the new one as `ca.crt` and the old one,
    which the brokers still use, under another name that ends in `.crt`: all of them are trusted.

    Args:
        location: Path of a PEM file, or of a folder with `*.crt` files.

    Raises:
        OSError: The file or folder does not exist, or the folder has no `*.crt`.

    """
    path = Path(location)
    if not path.is_dir():
        return path.read_bytes()
    if not (files := sorted(path.glob("*.crt"))):
        raise FileNotFoundError(f"{location} has no file *.crt")
    return b"\n".join(file.read_bytes() for file in files)


def reason(settings: KafkaSettings, error: KafkaError) -> str:
    """Describe an error of a client that cannot reach a broker.

    If a certificate is rejected, librdkafka reports a timeout or a failed transport. So this
    function makes a handshake with the same files and adds its error. It takes a few seconds at
    most, and opens one connection.

    Args:
        settings: Kafka settings with the brokers' addresses and the files.
        error: Error of the client.

    """
    rejected = rejection(settings) if uses_tls(settings) else ""
    return f"{error.str()}: {rejected}" if rejected else error.str()


def rejection(settings: KafkaSettings) -> str:
    """Reason for which TLS with a broker fails; empty if it works, or no broker listens."""
    try:
        context = _context(settings)
    except (OSError, ValueError) as error:
        return f"the certificates of the settings KAFKA_SSL_* cannot be read: {error}"
    for address in settings.kafka_broker_url.split(","):
        if rejected := _shake_hands(context, address.strip()):
            return rejected
    return ""


def _context(settings: KafkaSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.kafka_ssl_ca_location:
        pem = authorities(settings.kafka_ssl_ca_location).decode(errors="replace")
        context.load_verify_locations(cadata=pem)
    else:
        context.load_default_certs()
    if settings.kafka_ssl_certificate_location:
        context.load_cert_chain(
            settings.kafka_ssl_certificate_location,
            settings.kafka_ssl_key_location,
            settings.kafka_ssl_key_password,
        )
    return context


def _shake_hands(context: ssl.SSLContext, address: str) -> str:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with (
            socket.create_connection((host, int(port)), _HANDSHAKE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            encrypted.settimeout(_ALERT_SECONDS)
            encrypted.recv(1)
    except ssl.SSLCertVerificationError as error:
        return (
            f"the certificate of the broker {address} is rejected: {error.verify_message}; "
            "expected one that is valid for this address, of an authority that is trusted; "
            "check KAFKA_SSL_CA_LOCATION and KAFKA_BROKER_URL"
        )
    except ssl.SSLError as error:
        said = (error.reason or str(error)).lower().replace("_", " ")
        return (
            f"the broker {address} rejects the connection: {said}; expected a client certificate "
            "that it trusts; check KAFKA_SSL_CERTIFICATE_LOCATION"
        )
    except (OSError, ValueError):
        return ""  # no connection, or a broker that waits for the first request
    return ""
