"""The identity of a topic: Kafka's id for it, its number of partitions, whether it is compacted."""

from __future__ import annotations

import logging
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from services.streams.clients import client_config

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from confluent_kafka.admin._topic import TopicDescription

    from services.settings import KafkaSettings

CLEANUP_POLICY = "cleanup.policy"
RECORD_LIMIT = "max.message.bytes"


class TopicIdentity(NamedTuple):
    """Id and number of partitions of a topic.

    A topic that is created again under the same name has another id (KIP-516).
    """

    topic_id: str
    partitions: int


class TopicRecreatedError(Exception):
    """The topic of this name is not the one whose records were read."""


def topic_admin(settings: KafkaSettings) -> AdminClient:
    """Make the client for the functions below."""
    return AdminClient(client_config(settings, "topics"), logger=logging.getLogger("librdkafka"))


def ask_for_topic(admin: AdminClient, topic: str, seconds: float) -> Future[TopicDescription]:
    """Send the request for a topic's description, which needs the right to describe the topic.

    Args:
        admin: Client that sends the request.
        topic: Name of the topic.
        seconds: Timeout of the request, in seconds.

    """
    asked: dict[str, Future[TopicDescription]] = admin.describe_topics(
        TopicCollection([topic]), request_timeout=seconds
    )
    return asked[topic]


def identity_of(asked: Future[TopicDescription], seconds: float) -> TopicIdentity:
    """Wait for the answer to `ask_for_topic`.

    Raises:
        KafkaException: The topic does not exist, or the broker did not answer.

    """
    try:
        found = asked.result(seconds + 1)
    except FutureTimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "describe topics")) from None  # noqa: SLF001 - librdkafka's public name
    return TopicIdentity(str(found.topic_id), len(found.partitions))


def topic_identity(admin: AdminClient, topic: str, seconds: float) -> TopicIdentity:
    """Ask a broker for a topic's identity, which needs the right to describe the topic.

    Args:
        admin: Client that sends the request.
        topic: Name of the topic.
        seconds: Timeout of the request, in seconds.

    Raises:
        KafkaException: The topic does not exist, or the broker did not answer.

    """
    return identity_of(ask_for_topic(admin, topic, seconds), seconds)


def record_limit(admin: AdminClient, topics: Iterable[str], seconds: float) -> int | None:
    """Find the smallest `max.message.bytes` of some topics.

    This needs the right to describe their configuration.

    Returns:
        Largest batch that all of them accept, in bytes; None without the right to read it.

    """
    resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    asked = admin.describe_configs(resources, request_timeout=seconds)
    try:
        return min(int(one.result(seconds + 1)[RECORD_LIMIT].value) for one in asked.values())
    except (FutureTimeoutError, KafkaException):
        return None


def is_compacted(admin: AdminClient, topic: str, seconds: float) -> bool:
    """True if the topic is compacted, so that it finally keeps only the last record of each key.

    This needs the right to describe its configuration; without it the result is False.

    Raises:
        KafkaException: The broker did not answer.

    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        asked = admin.describe_configs([resource], request_timeout=seconds)
        policy = asked[resource].result(seconds + 1)[CLEANUP_POLICY].value
    except FutureTimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "describe configs")) from None  # noqa: SLF001 - librdkafka's public name
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return False
        raise
    return "compact" in str(policy)
