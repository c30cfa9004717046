"""Strimzi's part, played in tests: what it promises for the resources of one cluster.

It looks when it is told to (`sync`), not by itself. One broker process is all of the cluster,
whatever its pools say, and lasts as long as the stand-in. A Kafka that asks for what the stand-in
does not know is refused. Not here: pods, metrics, changes of a Kafka that runs, topics that go.
"""

from __future__ import annotations

import itertools
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka.admin import AdminClient

from services.certificates import Authority
from tests.strimzi.broker import TlsBroker
from tests.strimzi.grants import for_one_broker, provide_rights, provide_topics, topic_name
from tests.strimzi.keys import authority_keys, secret, user_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.local_kubernetes import ControlPlane

YEAR = timedelta(days=365)
_NO_WORLD = ("192.0.2.1", 9)  # an address of documentation: nothing is ever sent there


class StandInError(Exception):
    """A resource asks for what the stand-in does not know."""


class StandIn:
    """Provides a cluster, its topics and its users, in one namespace.

    Args:
        api: where the resources were applied.
        namespace: theirs.
        name: of the Kafka.
        address: that clients reach the broker at; this machine's by default, as no
            EndpointSlice takes one of loopback.

    """

    def __init__(
        self, api: ControlPlane, namespace: str, name: str = "kafka", address: str = ""
    ) -> None:
        self._api, self._namespace, self._name = api, namespace, name
        self._labels = {"strimzi.io/cluster": name}
        self._cluster_ca = Authority.new("cluster-ca v0", YEAR)
        self._clients_ca = Authority.new("clients-ca v0", YEAR)
        kafka = self._get("kafka", name)["spec"]["kafka"]
        _refuse_unknown(kafka)
        address = address or this_machine()
        self.broker = TlsBroker(
            address,
            self._cluster_ca.issue(
                f"{name}-kafka", YEAR, hosts=[*self._hosts(), address], organizations=["io.strimzi"]
            ),
            self._clients_ca.certificate,
            for_one_broker(kafka.get("config", {})),
        )

    def __enter__(self) -> Self:
        self.broker.__enter__()
        try:
            self._provide_cluster()
            self.sync()
        except BaseException:
            self.broker.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.close()

    def sync(self) -> None:
        """Provide what is now applied, take away what no longer is, and say so in each status."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        topics, users = self._members("kafkatopics"), self._members("kafkausers")
        provide_topics(admin, topics)
        provide_rights(admin, users)
        names = {user["metadata"]["name"] for user in users}
        secrets = self._members("secrets", "strimzi.io/kind=KafkaUser")
        known = {each["metadata"]["name"] for each in secrets}
        for user in names - known:
            self.renew(user)
        if known - names:
            self._kubectl("delete", "secret", *(known - names))
        kafka = self._get("kafka", self._name)
        self._say(
            _status(kafka, self._kafka_status()),
            *_pool_statuses(self._members("kafkanodepools")),
            *(_status(topic, _ready(topicName=topic_name(topic))) for topic in topics),
            *(_status(user, _user_status(user)) for user in users),
        )

    def renew(self, user: str, lifetime: timedelta = YEAR) -> None:
        """Write a new certificate into a user's Secret."""
        content = user_keys(
            user, self._clients_ca.issue(user, lifetime), self._clients_ca.certificate
        )
        self._apply(secret(user, self._labels | {"strimzi.io/kind": "KafkaUser"}, content))

    def _provide_cluster(self) -> None:
        service = f"{self._name}-kafka-bootstrap"
        labels = self._labels | {"strimzi.io/kind": "Kafka"}
        ports = [{"name": "tcp-tls", "port": 9093, "targetPort": self.broker.tls_port}]
        self._apply(
            secret(
                f"{self._name}-cluster-ca-cert",
                labels,
                authority_keys(self._cluster_ca.certificate),
            ),
            secret(
                f"{self._name}-clients-ca-cert",
                labels,
                authority_keys(self._clients_ca.certificate),
            ),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service, "labels": labels},
                "spec": {"ports": ports},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": service,
                    "labels": labels | {"kubernetes.io/service-name": service},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": [self.broker.address], "conditions": {"ready": True}}],
                "ports": [{"name": "tcp-tls", "port": self.broker.tls_port, "protocol": "TCP"}],
            },
        )

    def _hosts(self) -> list[str]:
        """The names that the bootstrap Service has."""
        name = f"{self._name}-kafka-bootstrap"
        ends = ["", f".{self._namespace}", f".{self._namespace}.svc"]
        return [name + end for end in [*ends, f"{ends[-1]}.cluster.local"]]

    def _kafka_status(self) -> dict[str, Any]:
        host = f"{self._name}-kafka-bootstrap.{self._namespace}.svc"
        listener = {
            "name": "tls",
            "bootstrapServers": f"{host}:9093",
            "addresses": [{"host": host, "port": 9093}],
            "certificates": [self._cluster_ca.certificate.decode()],
        }
        # Ready is not the first of them, as it often is not.
        warning = _condition("Warning", reason="KafkaStorage", message="one process for all nodes")
        ready = _ready(listeners=[listener])
        return ready | {"conditions": [warning, *ready["conditions"]]}

    def _say(self, *objects: dict[str, Any]) -> None:
        self._apply(*objects, options=("--subresource=status", "--field-manager=strimzi"))

    def _members(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind that carry the cluster's label; Strimzi passes over any other."""
        chosen = ",".join(filter(None, [f"strimzi.io/cluster={self._name}", selector]))
        found: list[dict[str, Any]] = self._get(kind, "-l", chosen)["items"]
        return found

    def _get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._kubectl("get", *what, "-o", "json"))
        return found

    def _apply(self, *objects: dict[str, Any], options: tuple[str, ...] = ()) -> None:
        whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._kubectl("apply", "--server-side", *options, "-f", "-", stdin=whole)

    def _kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._api.kubectl("-n", self._namespace, *arguments, stdin=stdin)


def this_machine() -> str:
    """The address that others would reach this machine at."""
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.connect(_NO_WORLD)
        return str(one.getsockname()[0])


def _refuse_unknown(kafka: dict[str, Any]) -> None:
    known = [
        {"name": "tls", "port": 9093, "type": "internal", "tls": True}
        | {"authentication": {"type": "tls"}}
    ]
    asked = [
        {key: value for key, value in listener.items() if key != "networkPolicyPeers"}
        for listener in kafka["listeners"]
    ]
    if asked != known or kafka.get("authorization") != {"type": "simple"}:
        raise StandInError(
            f"known are listeners {known} with simple authorization; "
            f"found {asked} with {kafka.get('authorization')}"
        )


def _status(known: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    """An object with its new status; kubectl wants the spec too, and the server passes over it."""
    metadata = known["metadata"]
    return {
        **{key: known[key] for key in ("apiVersion", "kind", "spec")},
        "metadata": {"name": metadata["name"]},
        "status": status | {"observedGeneration": metadata["generation"]},
    }


def _condition(kind: str, **more: str) -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": "True", "lastTransitionTime": now, **more}


def _ready(**more: object) -> dict[str, Any]:
    return {"conditions": [_condition("Ready")], **more}


def _user_status(user: dict[str, Any]) -> dict[str, Any]:
    name = user["metadata"]["name"]
    return _ready(username=f"CN={name}", secret=name)


def _pool_statuses(pools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Nodes are numbered through all pools. A pool has no Ready: its Kafka's tells of all."""
    numbers = itertools.count()
    for pool in pools:
        replicas = pool["spec"]["replicas"]
        ids = list(itertools.islice(numbers, replicas))
        told = {"replicas": replicas, "roles": pool["spec"]["roles"], "nodeIds": ids}
        yield _status(pool, told)
