"""Topics and ACLs of a broker, made to be what KafkaTopics and KafkaUsers say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka.admin import AdminClient

CALL_SECONDS = 60.0
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_PATTERNS = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
# What counts copies. There is one broker, so there is one copy.
_COPIES = re.compile(r"(replication\.factor|min\.isr|min\.insync\.replicas)$")


def for_one_broker(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with every number of copies lowered to one."""
    return {name: 1 if _COPIES.search(name) else value for name, value in config.items()}


def topic_name(topic: dict[str, Any]) -> str:
    """The name in Kafka of a KafkaTopic."""
    return str(topic["spec"].get("topicName", topic["metadata"]["name"]))


def provide_topics(admin: AdminClient, topics: Iterable[dict[str, Any]]) -> None:
    """Create those that are not there; give the others their partitions and settings."""
    known = admin.list_topics(timeout=CALL_SECONDS).topics
    new, wider, settings = [], [], []
    for topic in topics:
        name, partitions = topic_name(topic), topic["spec"]["partitions"]
        config = {k: str(v) for k, v in for_one_broker(topic["spec"].get("config", {})).items()}
        if name not in known:
            new.append(NewTopic(name, partitions, replication_factor=1, config=config))
            continue
        if len(known[name].partitions) < partitions:
            wider.append(NewPartitions(name, partitions))
        entries = [
            ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET)
            for k, v in config.items()
        ]
        settings.append(ConfigResource("topic", name, incremental_configs=entries))
    futures = [
        *(admin.create_topics(new).values() if new else ()),
        *(admin.create_partitions(wider).values() if wider else ()),
        *(admin.incremental_alter_configs(settings).values() if settings else ()),
    ]
    for future in futures:
        future.result(CALL_SECONDS)


def provide_rights(admin: AdminClient, users: Iterable[dict[str, Any]]) -> None:
    """Give every user the rights of its KafkaUser, and nobody any other."""
    wanted = {right for user in users for right in _rights(user)}
    every: Any = None  # as the filter has it, and not its types
    everything = AclBindingFilter(
        ResourceType.ANY,
        every,
        ResourcePatternType.ANY,
        every,
        every,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    found = set(admin.describe_acls(everything).result(CALL_SECONDS))
    surplus = [AclBindingFilter(*right._to_tuple()) for right in found - wanted]
    futures = [
        *(admin.delete_acls(surplus).values() if surplus else ()),
        *(admin.create_acls(list(wanted - found)).values() if wanted - found else ()),
    ]
    for future in futures:
        future.result(CALL_SECONDS)


def _rights(user: dict[str, Any]) -> list[AclBinding]:
    acls = user["spec"].get("authorization", {}).get("acls", [])
    return [
        _right(user["metadata"]["name"], acl, each) for acl in acls for each in acl["operations"]
    ]


def _right(user: str, acl: dict[str, Any], operation: str) -> AclBinding:
    resource = acl["resource"]
    return AclBinding(
        _RESOURCES[resource["type"]],
        resource.get("name", "kafka-cluster"),
        _PATTERNS[resource.get("patternType", "literal")],
        f"User:CN={user}",
        acl.get("host", "*"),
        AclOperation[re.sub(r"(?<!^)(?=[A-Z])", "_", operation).upper()],
        AclPermissionType[acl.get("type", "allow").upper()],
    )
