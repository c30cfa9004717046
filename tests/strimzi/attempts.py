"""What a client may try, each with a real call: OK, or the name of the error that it is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.support.streaming import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.streams.clients import Config

OK = "OK"
_CALL_SECONDS = 60.0
# A client goes on trying; all that it is told it was told by then.
_REFUSED_SECONDS = 3.0


def outcome(attempt: Callable[[], object]) -> str:
    """The name of the error that an attempt ends with, OK where there is none."""
    try:
        attempt()
    except KafkaException as error:
        return str(error.args[0].name())
    return OK


def write(config: Config, topic: str) -> None:
    """Write a record."""
    failures: list[KafkaError] = []
    heard: Any = {**config, "error_cb": failures.append}
    producer = Producer(heard)
    producer.produce(topic, b"{}", on_delivery=lambda e, _: failures.append(e) if e else None)
    assert producer.flush(WAIT_SECONDS) == 0
    if failures:
        raise KafkaException(failures[0])


def read(config: Config, topic: str) -> None:
    """Read a partition to its end, whatever is said of a group that the client has to name."""
    consumer = _consumer(config, "none")
    try:
        _see(consumer, topic)
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        _poll(consumer, lambda: False, but=KafkaError.GROUP_AUTHORIZATION_FAILED)
    finally:
        consumer.close()


def join(config: Config, group: str, topic: str) -> None:
    """Join a group and be given partitions of a topic, and commit one."""
    consumer = _consumer(config, group)
    assigned: list[TopicPartition] = []
    try:
        consumer.subscribe([topic], on_assign=lambda _, given: assigned.extend(given))
        _poll(consumer, lambda: bool(assigned))
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    finally:
        consumer.close()


def transact(config: Config, name: str) -> None:
    """Become the producer of a transactional id."""
    Producer({**config, "transactional.id": name}).init_transactions(_CALL_SECONDS)


def find_times(config: Config, topic: str) -> None:
    """Ask where a partition begins and ends, and which offset a time has."""
    consumer = _consumer(config, "none")
    try:
        _see(consumer, topic)
        consumer.get_watermark_offsets(TopicPartition(topic, 0), _CALL_SECONDS)
        (found,) = consumer.offsets_for_times([TopicPartition(topic, 0, 0)], _CALL_SECONDS)
        if found.error is not None:
            raise KafkaException(found.error)
    finally:
        consumer.close()


def create_topic(config: Config, name: str) -> None:
    """Create a topic."""
    admin = AdminClient(config)
    _one(admin.create_topics([NewTopic(name, 1, 1)]))


def delete_topic(config: Config, name: str) -> None:
    """Delete a topic."""
    admin = AdminClient(config)
    _one(admin.delete_topics([name]))


def widen_topic(config: Config, name: str) -> None:
    """Give a topic more partitions."""
    admin = AdminClient(config)
    _one(admin.create_partitions([NewPartitions(name, 9)]))


def delete_records(config: Config, name: str) -> None:
    """Delete the records of a partition."""
    admin = AdminClient(config)
    _see(admin, name)
    _one(admin.delete_records([TopicPartition(name, 0, 0)]))


def delete_group(config: Config, name: str) -> None:
    """Delete a consumer group."""
    admin = AdminClient(config)
    _one(admin.delete_consumer_groups([name]))


def describe_group(config: Config, name: str) -> None:
    """Ask for the coordinator of a group, and it for the group."""
    admin = AdminClient(config)
    _one(admin.describe_consumer_groups([name]))


def alter_topic(config: Config, name: str) -> None:
    """Have a topic forget at once."""
    entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource("topic", name, incremental_configs=[entry])
    admin = AdminClient(config)
    _one(admin.incremental_alter_configs([resource]))


def grant(config: Config, principal: str) -> None:
    """Give oneself the right to everything."""
    acl = AclBinding(
        ResourceType.TOPIC,
        "*",
        ResourcePatternType.LITERAL,
        principal,
        "*",
        AclOperation.ALL,
        AclPermissionType.ALLOW,
    )
    admin = AdminClient(config)
    _one(admin.create_acls([acl]))


def seen_topics(config: Config) -> set[str]:
    """The topics that one is told of."""
    return set(AdminClient(config).list_topics(timeout=_CALL_SECONDS).topics)


def seen_groups(config: Config) -> set[str]:
    """The groups that one is told of."""
    admin = AdminClient(config)
    found = admin.list_consumer_groups().result(_CALL_SECONDS)
    assert not found.errors
    return {str(each.group_id) for each in found.valid}


def rejection(config: Config) -> str:
    """What the client says of a broker that does not let it in; OK where it does."""
    said: list[str] = []
    heard: Any = {**config, "error_cb": lambda error: said.append(error.str())}
    admin = AdminClient(heard)
    try:
        admin.list_topics(timeout=_REFUSED_SECONDS)
    except KafkaException as error:
        admin.poll(0)
        return "\n".join([*said, error.args[0].str()])
    return OK


def _consumer(config: Config, group: str) -> Consumer:
    return Consumer(
        {
            **config,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )


def _see(client: Consumer | AdminClient, topic: str) -> None:
    """Ask for a topic, as a client that is not told of it waits for it to come."""
    found = client.list_topics(topic, _CALL_SECONDS).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)


def _poll(consumer: Consumer, enough: Callable[[], bool], but: int | None = None) -> None:
    """Poll until there is a record, an end, an error but one, or enough."""
    deadline = time.monotonic() + _CALL_SECONDS
    while not enough():
        assert time.monotonic() < deadline, "nothing came"
        message = consumer.poll(0.1)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() == but:
            continue
        if error is None or error.code() == KafkaError._PARTITION_EOF:
            return
        raise KafkaException(error)


def _one(futures: dict[Any, Any]) -> None:
    (future,) = futures.values()
    future.result(_CALL_SECONDS)
