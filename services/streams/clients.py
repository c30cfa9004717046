"""Configuration that all Kafka clients share, and the wait for a broker."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from services.streams.tls import authorities, reason, uses_tls
from services.telemetry import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from services.settings import KafkaSettings

log = structlog.get_logger()

Config = dict[str, str | int | bool | float]

# Longest attempt to reach a broker, and thus the interval of the log lines about it.
ATTEMPT_SECONDS = 5.0
# Interval at which the files of certificates are checked.
LOOK_EVERY_SECONDS = 5.0

# The requested offset is not in the log, or the log before it was written again.
OUT_OF_LOG = {
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 - librdkafka's public name
    KafkaError._LOG_TRUNCATION,  # noqa: SLF001 - the same
    KafkaError.OFFSET_OUT_OF_RANGE,
}

_OPTIONS = {
    "ssl.certificate.location": "kafka_ssl_certificate_location",
    "ssl.key.location": "kafka_ssl_key_location",
    "ssl.key.password": "kafka_ssl_key_password",
    "sasl.mechanism": "kafka_sasl_mechanism",
    "sasl.username": "kafka_sasl_username",
    "sasl.password": "kafka_sasl_password",
}


def client_config(settings: KafkaSettings, client_id: str) -> Config:
    """Build the configuration that all clients share: addresses, security, reconnects.

    Args:
        settings: Kafka settings of the service.
        client_id: Name of the client in the broker's logs and quotas.

    Raises:
        KafkaException: The folder of trusted authorities has no certificates.

    """
    config: Config = {
        "bootstrap.servers": settings.kafka_broker_url,
        "client.id": client_id,
        "security.protocol": settings.kafka_security_protocol,
        # A restarted broker is back within seconds; by default the client waits up to 10 s.
        "reconnect.backoff.max.ms": 1000,
        # Otherwise producers and admin clients create a topic by asking for it, if the broker's
        # auto.create.topics.enable is on, as it is by default.
        "allow.auto.create.topics": False,
        # Acknowledgements of small requests must not wait for Nagle's algorithm.
        "socket.nagle.disable": True,
    }
    for option, field in _OPTIONS.items():
        if value := getattr(settings, field):
            config[option] = value
    return config | _trust(settings)


def _trust(settings: KafkaSettings) -> Config:
    """Options for the authorities that sign the brokers' certificates."""
    location = settings.kafka_ssl_ca_location
    if not location:
        # The system's authorities, at any of the paths that distributions use.
        return {"ssl.ca.location": "probe"} if uses_tls(settings) else {}
    if not Path(location).is_dir():
        return {"ssl.ca.location": location}
    try:
        return {"ssl.ca.pem": authorities(location).decode(errors="replace")}
    except OSError as error:
        said = f"KAFKA_SSL_CA_LOCATION: {error}; expected certificates of authorities there"
        raise KafkaException(KafkaError(KafkaError._SSL, said)) from None  # noqa: SLF001 - librdkafka's public name


class Certificates:
    """The certificate and key files of a client, to notice when they are replaced.

    librdkafka reads them once, when a client is made. So a renewal needs a new client.

    Args:
        settings: Settings that name the files, or the folder of authorities.

    """

    def __init__(self, settings: KafkaSettings) -> None:
        found = (
            settings.kafka_ssl_ca_location,
            settings.kafka_ssl_certificate_location,
            settings.kafka_ssl_key_location,
        )
        self._paths = [path for path in found if path]
        self._made_with = self._look()
        _set_expiry(settings)
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS

    def renewed(self) -> bool:
        """True if the contents of a file have changed; reads the files every few seconds."""
        if not self._paths or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        found = self._look()
        # A file that is missing for a moment is being replaced.
        return None not in found and found != self._made_with

    def _look(self) -> list[bytes | None]:
        return [_contents(path) for path in self._paths]


def _set_expiry(settings: KafkaSettings) -> None:
    """Set the metric of expiry times; librdkafka itself reports files that cannot be read."""
    for name, path in (
        ("kafka-client", settings.kafka_ssl_certificate_location),
        ("kafka-ca", settings.kafka_ssl_ca_location),
    ):
        if path:
            # The import costs memory, so it is made only if there are certificates.
            from services.certificates import expiry, last_expiry  # noqa: PLC0415

            # With several authorities, that which expires first is being replaced.
            ends = last_expiry if name == "kafka-ca" else expiry
            with contextlib.suppress(OSError, ValueError):
                metrics.CERTIFICATE_EXPIRY.labels(name).set(ends(authorities(path)).timestamp())


def _contents(path: str) -> bytes | None:
    try:
        return authorities(path)
    except OSError:
        return None


def wait_for_broker(
    settings: KafkaSettings, stop: threading.Event, tick: Callable[[], None]
) -> bool:
    """Wait until a broker answers, with a line in the log at each attempt.

    Args:
        settings: Kafka settings with the brokers' addresses.
        stop: Event that ends the wait.
        tick: Called at each attempt.

    Returns:
        False if `stop` was set before a broker answered.

    """
    while not stop.is_set():
        tick()
        try:
            # A new client each time, because a renewed certificate may solve the problem.
            _admin(settings).list_topics(timeout=ATTEMPT_SECONDS)
        except KafkaException as error:
            said = reason(settings, error.args[0])
            log.warning("waiting for Kafka", broker=settings.kafka_broker_url, reason=said)
            stop.wait(0.2)
        else:
            return True
    return False


def missing_topics(settings: KafkaSettings, names: Iterable[str]) -> list[str]:
    """List the topics that do not exist, or that this client has no right to see.

    Raises:
        KafkaException: The broker cannot be reached any more.

    """
    admin = _admin(settings)
    # One request for each topic, because a client without rights on other topics may ask this.
    found = {name: admin.list_topics(name, ATTEMPT_SECONDS).topics[name] for name in names}
    hidden = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED}
    return [name for name, topic in found.items() if topic.error and topic.error.code() in hidden]


def _admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient(client_config(settings, "admin"), logger=logging.getLogger("librdkafka"))
