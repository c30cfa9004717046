"""The stand-in itself: what is there once the chart was applied, and what changes with it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from cryptography.x509.oid import NameOID

from services.streams.clients import client_config
from tests.charts.rendering import pick, render
from tests.strimzi import attempts
from tests.strimzi.attempts import OK, outcome
from tests.strimzi.conftest import CHART, install
from tests.strimzi.identity import CLUSTER_CA, Cluster
from tests.strimzi.stand_in import StandIn, StandInError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = [pytest.mark.kafka, pytest.mark.kubernetes]

USERS = ["generator", "detector", "tail", "tester", "console"]
GUEST = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata: {name: guest, labels: {strimzi.io/cluster: CLUSTER}}
spec:
  authentication: {type: tls}
  authorization:
    type: simple
    acls:
    - operations: [Read, DescribeConfigs]
      resource: {type: topic, name: streaming., patternType: prefix}
    - operations: [Read]
      host: 203.0.113.1
      resource: {type: topic, name: queueing.transactions}
    - type: deny
      operations: [Read]
      resource: {type: topic, name: streaming.transactions.fraud}
"""


def is_ready(known: dict[str, Any]) -> bool:
    """As `kubectl wait --for=condition=Ready` has it, of the state that was applied last."""
    status = known.get("status", {})
    ready = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
    return ready == ["True"] and status["observedGeneration"] == known["metadata"]["generation"]


def test_what_was_applied_is_ready(cluster: Cluster) -> None:
    found = cluster.get("kafka,kafkatopic,kafkauser")["items"]
    assert len(found) == 10
    assert all(is_ready(each) for each in found)
    (pool,) = cluster.get("kafkanodepools")["items"]
    assert pool["status"]["nodeIds"] == [0]


def test_the_kafka_tells_its_address(cluster: Cluster) -> None:
    status = cluster.get("kafka", "kafka")["status"]
    (listener,) = status["listeners"]
    assert listener["bootstrapServers"] == f"kafka-kafka-bootstrap.{cluster.namespace}.svc:9093"
    assert listener["certificates"] == [cluster.secret(CLUSTER_CA)["ca.crt"].decode()]
    assert status["conditions"][0]["type"] == "Warning"


def test_the_service_leads_to_the_broker(cluster: Cluster) -> None:
    (port,) = cluster.get("service", "kafka-kafka-bootstrap")["spec"]["ports"]
    broker = cluster.stand_in.broker
    assert (port["port"], port["targetPort"]) == (9093, broker.tls_port)
    assert cluster.bootstrap == f"{broker.address}:{broker.tls_port}"


@pytest.mark.parametrize("name", [CLUSTER_CA, "kafka-clients-ca-cert"])
def test_an_authority_is_in_a_secret(cluster: Cluster, name: str) -> None:
    content = cluster.secret(name)
    assert set(content) == {"ca.crt", "ca.p12", "ca.password"}
    store = pkcs12.load_pkcs12(content["ca.p12"], content["ca.password"])
    (trusted,) = store.additional_certs
    assert trusted.certificate == x509.load_pem_x509_certificate(content["ca.crt"])


@pytest.mark.parametrize("user", USERS)
def test_a_user_has_a_certificate_in_its_secret(cluster: Cluster, user: str) -> None:
    content = cluster.secret(user)
    assert set(content) == {"ca.crt", "user.crt", "user.key", "user.p12", "user.password"}
    certificate = x509.load_pem_x509_certificate(content["user.crt"])
    (name,) = certificate.subject
    assert (name.oid, name.value) == (NameOID.COMMON_NAME, user)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(content["ca.crt"]))
    assert content["ca.crt"] == cluster.secret("kafka-clients-ca-cert")["ca.crt"]
    store = pkcs12.load_pkcs12(content["user.p12"], content["user.password"])
    key = load_pem_private_key(content["user.key"], None)
    assert store.cert is not None
    assert store.cert.certificate == certificate
    assert key.public_key() == certificate.public_key()
    status = cluster.get("kafkauser", user)["status"]
    assert (status["username"], status["secret"]) == (f"CN={user}", user)


def test_topics_are_as_they_were_asked_for(cluster: Cluster) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.stand_in.broker.bootstrap})
    for topic in cluster.get("kafkatopics")["items"]:
        name, spec = topic["metadata"]["name"], topic["spec"]
        assert len(admin.list_topics(name, 10).topics[name].partitions) == spec["partitions"]
        (future,) = admin.describe_configs([ConfigResource("topic", name)]).values()
        found = future.result(60)
        assert {k: found[k].value for k in spec["config"]} == {
            k: str(v) for k, v in spec["config"].items()
        }


def test_more_partitions_and_another_retention_are_taken_over(cluster: Cluster) -> None:
    name = "streaming.transactions.dead-letters"
    patch = {"spec": {"partitions": 3, "config": {"retention.ms": 7_200_000}}}
    cluster.api.kubectl(
        *("-n", cluster.namespace, "patch", "kafkatopic", name, "--type=merge"),
        *("-p", json.dumps(patch)),
    )
    assert not is_ready(cluster.get("kafkatopic", name))
    cluster.stand_in.sync()
    test_topics_are_as_they_were_asked_for(cluster)
    assert is_ready(cluster.get("kafkatopic", name))


def test_a_user_comes_with_its_rights_and_goes_with_them(cluster: Cluster, tmp_path: Path) -> None:
    kubectl, within = cluster.api.kubectl, ("-n", cluster.namespace)
    kubectl(*within, "apply", "-f", "-", stdin=GUEST.replace("CLUSTER", "kafka"))
    old = cluster.secret("tail")
    cluster.stand_in.sync()
    assert cluster.secret("tail") == old  # nobody else's is renewed
    config = client_config(cluster.settings("guest", tmp_path), "tests")

    def tried() -> list[str]:
        topics = ("streaming.transactions.legit", "streaming.transactions.fraud")
        names = (*topics, "queueing.transactions")
        return [outcome(partial(attempts.read, config, name)) for name in names]

    rejected = "TOPIC_AUTHORIZATION_FAILED"
    assert tried() == [OK, rejected, rejected]  # by prefix; denied; from another host
    kubectl(*within, "delete", "kafkauser", "guest")
    cluster.stand_in.sync()
    assert tried() == [rejected] * 3
    assert "guest" not in [each["metadata"]["name"] for each in cluster.get("secrets")["items"]]


def test_a_user_of_another_cluster_is_passed_over(cluster: Cluster) -> None:
    kubectl, within = cluster.api.kubectl, ("-n", cluster.namespace)
    kubectl(*within, "apply", "-f", "-", stdin=GUEST.replace("CLUSTER", "another"))
    cluster.stand_in.sync()
    assert "status" not in cluster.get("kafkauser", "guest")
    kubectl(*within, "delete", "kafkauser", "guest")


def test_a_large_cluster_is_one_broker_too(strimzi: ApiServer, tmp_path: Path) -> None:
    namespace = install(strimzi, "production")
    with StandIn(strimzi, namespace) as stand_in:
        cluster = Cluster(strimzi, namespace, stand_in)
        config = client_config(cluster.settings("detector", tmp_path), "tests")
        attempts.transact(config, "fraud-detector-0")
        attempts.write(config, "streaming.transactions.legit")
        pools = {p["metadata"]["name"]: p["status"] for p in cluster.get("kafkanodepools")["items"]}
    # As they are written, whatever runs; ids begin anew in no pool.
    assert {name: len(status["nodeIds"]) for name, status in pools.items()} == {
        "broker": 3,
        "controller": 3,
    }
    ids = [each for status in pools.values() for each in status["nodeIds"]]
    assert sorted(ids) == list(range(6))


@pytest.mark.parametrize("part", ["authorization", "tls"])
def test_a_kafka_that_asks_for_something_else_is_refused(strimzi: ApiServer, part: str) -> None:
    kafka = pick(render(CHART, f"{CHART}/values-dev.yaml", release="kafka"), "Kafka")
    if part == "tls":
        kafka["spec"]["kafka"]["listeners"][0] |= {"tls": False}
    else:
        del kafka["spec"]["kafka"][part]
    namespace = strimzi.new_namespace()
    strimzi.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(kafka))
    with pytest.raises(StandInError, match="known are listeners"):
        StandIn(strimzi, namespace)
