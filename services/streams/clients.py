"""What every Kafka client of ours is configured with, and how it waits for a broker."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from services.telemetry import metrics

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from confluent_kafka import Consumer, TopicPartition

    from services.settings import KafkaSettings

log = structlog.get_logger()

Config = dict[str, str | int | bool | float]

# How long one attempt to reach a broker may take, and so how often the wait is said in the log.
ATTEMPT_SECONDS = 5.0
# How often files of certificates are looked at.
LOOK_EVERY_SECONDS = 5.0

_OPTIONS = {
    "ssl.ca.location": "kafka_ssl_ca_location",
    "ssl.certificate.location": "kafka_ssl_certificate_location",
    "ssl.key.location": "kafka_ssl_key_location",
    "ssl.key.password": "kafka_ssl_key_password",
    "sasl.mechanism": "kafka_sasl_mechanism",
    "sasl.username": "kafka_sasl_username",
    "sasl.password": "kafka_sasl_password",
}


def client_config(settings: KafkaSettings, client_id: str) -> Config:
    """Build what every client is configured with: addresses, security, reconnects.

    Args:
        settings: of the service.
        client_id: as it shows in the broker's logs and quotas.

    """
    config: Config = {
        "bootstrap.servers": settings.kafka_broker_url,
        "client.id": client_id,
        "security.protocol": settings.kafka_security_protocol,
        # A broker that restarts is back within seconds; the default waits up to 10 s to look.
        "reconnect.backoff.max.ms": 1000,
        # Acknowledgements of small requests must not wait for Nagle's algorithm.
        "socket.nagle.disable": True,
    }
    for option, field in _OPTIONS.items():
        if value := getattr(settings, field):
            config[option] = value
    return config


class Certificates:
    """The files that a client was made with, and whether they are others by now.

    librdkafka reads them once, when a client is made; one that is to use those
    that came later is made anew.

    Args:
        settings: that name the files.

    """

    def __init__(self, settings: KafkaSettings) -> None:
        fields = (field for option, field in _OPTIONS.items() if option.endswith(".location"))
        self._paths = [path for field in fields if (path := getattr(settings, field))]
        self._made_with = self._look()
        _tell_of_expiry(settings)
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS

    def renewed(self) -> bool:
        """Whether others are there; looks every few seconds."""
        if not self._paths or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        found = self._look()
        # Files that are away for a moment are on their way.
        return None not in found and found != self._made_with

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_signature(Path(path)) for path in self._paths]


def _tell_of_expiry(settings: KafkaSettings) -> None:
    """Set the metric of when certificates end; what cannot be read is librdkafka's to say."""
    for name, path in (
        ("kafka-client", settings.kafka_ssl_certificate_location),
        ("kafka-ca", settings.kafka_ssl_ca_location),
    ):
        if path:
            # It costs memory, which who has no certificates can do without.
            from services.certificates import expiry  # noqa: PLC0415

            with contextlib.suppress(OSError, ValueError):
                ends = expiry(Path(path).read_bytes()).timestamp()
                metrics.CERTIFICATE_EXPIRY.labels(name).set(ends)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def resume(consumer: Consumer, place: TopicPartition) -> None:
    """Let a partition that is paused go on, from an offset.

    Without the seek librdkafka 2.16 looks at it again only at its next tick, up
    to 1 s later (measured: 1.0 s, with the seek 4 ms).
    """
    consumer.resume([place])
    consumer.seek(place)


def wait_for_broker(
    settings: KafkaSettings, stop: threading.Event, tick: Callable[[], None]
) -> bool:
    """Wait until a broker answers, with a line in the log at each attempt.

    Args:
        settings: where to connect.
        stop: ends the wait.
        tick: called at each attempt.

    Returns:
        False when stopped before a broker answered.

    """
    while not stop.is_set():
        tick()
        try:
            # Made anew, as what it is not let in for may be a certificate that is renewed.
            _admin(settings).list_topics(timeout=ATTEMPT_SECONDS)
        except KafkaException as error:
            reason = error.args[0].str()
            log.warning("waiting for Kafka", broker=settings.kafka_broker_url, reason=reason)
            stop.wait(0.2)
        else:
            return True
    return False


def broker_answers(settings: KafkaSettings) -> bool:
    """Tell whether a broker answers within two seconds."""
    try:
        _admin(settings).list_topics(timeout=2.0)
    except KafkaException:
        return False
    return True


def missing_topics(settings: KafkaSettings, names: Iterable[str]) -> list[str]:
    """Find which topics the cluster does not have, or does not let this client see.

    Raises:
        KafkaException: the broker went away meanwhile.

    """
    admin = _admin(settings)
    # Asked for one by one, so that a client without the right to see others may ask.
    found = {name: admin.list_topics(name, ATTEMPT_SECONDS).topics[name] for name in names}
    hidden = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED}
    return [name for name, topic in found.items() if topic.error and topic.error.code() in hidden]


def _admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient(client_config(settings, "admin"), logger=logging.getLogger("librdkafka"))
