"""The chart of Strimzi's resources: what it renders, and that Strimzi's own schemas take it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.detector.settings import DetectorSettings
from services.streams.stream import MESSAGE_MAX_BYTES
from tests.charts import rendering
from tests.charts.matrix import DEV, KAFKA_ROWS, PRODUCTION, values_of
from tests.charts.rendering import KAFKA, OURS, dry_run, helm, pick, template
from tests.charts.strimzi import STRIMZI_KINDS
from tools.local_kubernetes import ControlPlaneError
from tools.shipped.chart_readme import readme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

VALUES = values_of(KAFKA)
SIZES = {"default": (), "dev": (DEV,), "production": (PRODUCTION,)}
TOPIC, GROUP = VALUES["topics"]["transactions"]["name"], VALUES["consumerGroup"]
OUTPUTS = [VALUES["topics"][topic]["name"] for topic in ("legit", "fraud", "deadLetters")]
# All that anyone may do: operation, resource, pattern, name.
RIGHTS = {
    "generator": {("Write", "topic", "literal", TOPIC)},
    "detector": {
        ("Read", "topic", "literal", TOPIC),
        ("DescribeConfigs", "topic", "literal", TOPIC),
        ("Read", "group", "literal", GROUP),
        ("Write", "transactionalId", "prefix", f"{GROUP}-"),
        *(("Write", "topic", "literal", output) for output in OUTPUTS),
        *(("DescribeConfigs", "topic", "literal", output) for output in OUTPUTS),
    },
    "tail": {
        ("Read", "group", "prefix", "fraud-tail-"),
        *(("Read", "topic", "literal", output) for output in OUTPUTS),
    },
    "console": {
        ("Read", "topic", "literal", OUTPUTS[1]),
        ("Describe", "group", "prefix", "fraud-console-"),
    },
    "tester": {
        ("Write", "topic", "literal", TOPIC),
        ("Describe", "group", "prefix", "fraud-round-trip-"),
        *(("Read", "topic", "literal", output) for output in OUTPUTS),
    },
}
HOUR_MS = 3_600_000


def render(*files: str, **options: Any) -> list[dict[str, Any]]:
    """Render the chart, which succeeds, into its objects."""
    return rendering.render(KAFKA, *files, **{"release": "kafka", **options})


def rejection(**values: Any) -> str:
    """What helm says of values that it has to refuse."""
    done = template(KAFKA, **values)
    assert done.returncode, done.stdout
    return done.stderr


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The specs of a kind, by name."""
    return {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == kind}


def nodes(objects: list[dict[str, Any]], role: str) -> int:
    """How many nodes have a role."""
    pools = of_kind(objects, "KafkaNodePool").values()
    return sum(pool["replicas"] for pool in pools if role in pool["roles"])


@pytest.mark.parametrize(
    ("size", "controllers", "brokers", "storage"),
    [
        ("default", 3, 3, "jbod"),
        ("dev", 1, 1, "ephemeral"),
        ("production", 3, 3, "jbod"),
    ],
)
def test_a_size_has_its_nodes(size: str, controllers: int, brokers: int, storage: str) -> None:
    objects = render(*SIZES[size])
    assert (nodes(objects, "controller"), nodes(objects, "broker")) == (controllers, brokers)
    pools = of_kind(objects, "KafkaNodePool")
    assert {pool["storage"]["type"] for pool in pools.values()} == {storage}
    apart = all(len(pool["roles"]) == 1 for pool in pools.values())
    assert apart == (size == "production")


@pytest.mark.parametrize("size", SIZES)
def test_clients_show_a_certificate_and_have_only_what_they_are_given(size: str) -> None:
    kafka = pick(render(*SIZES[size]), "Kafka")["spec"]["kafka"]
    (listener,) = kafka["listeners"]
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": "tls"}
    assert kafka["authorization"] == {"type": "simple"}  # and nobody is above it
    assert kafka["metricsConfig"]["type"] == "strimziMetricsReporter"


@pytest.mark.parametrize("size", SIZES)
def test_nobody_has_a_right_too_many(size: str) -> None:
    assert "console" not in of_kind(render(*SIZES[size]), "KafkaUser")
    users = of_kind(render(*SIZES[size], users={"console": "console"}), "KafkaUser")
    assert {name: rights(user) for name, user in users.items()} == RIGHTS
    assert {user["authentication"]["type"] for user in users.values()} == {"tls"}


def rights(user: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    """What a KafkaUser may do."""
    assert user["authorization"]["type"] == "simple"
    return {
        (
            operation,
            rule["resource"]["type"],
            rule["resource"]["patternType"],
            rule["resource"]["name"],
        )
        for rule in user["authorization"]["acls"]
        for operation in rule["operations"]
    }


def test_rights_follow_the_names() -> None:
    topics = copy.deepcopy(VALUES["topics"])
    topics["fraud"]["name"] = "cases"
    objects = render(
        topics=topics,
        consumerGroup="judges",
        users=KAFKA_ROWS["many producers, no readers, no tests"]["users"],
    )
    users = {name: rights(user) for name, user in of_kind(objects, "KafkaUser").items()}
    assert users.keys() == {"cards", "transfers", "judge"}
    assert users["cards"] == users["transfers"] == RIGHTS["generator"]
    assert ("Write", "topic", "literal", "cases") in users["judge"]
    assert ("Read", "group", "literal", "judges") in users["judge"]
    assert ("Write", "transactionalId", "prefix", "judges-") in users["judge"]
    assert len(users["judge"]) == len(RIGHTS["detector"])


@pytest.mark.parametrize("size", SIZES)
def test_topics_fit_the_cluster(size: str) -> None:
    objects = render(*SIZES[size])
    topics = of_kind(objects, "KafkaTopic")
    assert topics.keys() == {TOPIC, *OUTPUTS}
    for topic in topics.values():
        copies, in_sync = topic["replicas"], topic["config"]["min.insync.replicas"]
        assert copies <= nodes(objects, "broker")
        assert in_sync < copies or copies == in_sync == 1
    assert topics[OUTPUTS[0]]["partitions"] >= topics[TOPIC]["partitions"]


@pytest.mark.parametrize("size", SIZES)
def test_a_record_with_headers_fits_the_topics_it_goes_to(size: str) -> None:
    topics = of_kind(render(*SIZES[size]), "KafkaTopic")
    largest = {name: topic["config"]["max.message.bytes"] for name, topic in topics.items()}
    for output in OUTPUTS:
        assert largest[TOPIC] < largest[output] <= MESSAGE_MAX_BYTES


def test_what_a_batch_of_the_input_decompresses_to_is_bounded_by_its_codec() -> None:
    topics = of_kind(render(), "KafkaTopic")
    codecs = {name: topic["config"].get("compression.type") for name, topic in topics.items()}
    assert codecs == {TOPIC: "zstd", **dict.fromkeys(OUTPUTS)}


@pytest.mark.parametrize("size", SIZES)
def test_records_go_when_their_retention_is_over_and_not_long_after(size: str) -> None:
    for topic in of_kind(render(*SIZES[size]), "KafkaTopic").values():
        config = topic["config"]
        assert config["segment.ms"] <= min(config["retention.ms"] / 8, 24 * HOUR_MS)


@pytest.mark.parametrize("hours", [1, 168, 8760])
def test_offsets_outlive_records_so_that_none_is_judged_twice(hours: int) -> None:
    topics = copy.deepcopy(VALUES["topics"])
    topics["transactions"]["retentionHours"] = hours
    objects = render(topics=topics)
    offsets_minutes = pick(objects, "Kafka")["spec"]["kafka"]["config"]["offsets.retention.minutes"]
    config = of_kind(objects, "KafkaTopic")[TOPIC]["config"]
    assert config["retention.ms"] == hours * HOUR_MS
    assert offsets_minutes * 60_000 > config["retention.ms"] + config["segment.ms"]


@pytest.mark.parametrize("size", SIZES)
def test_transactions_survive_what_topics_do(size: str) -> None:
    objects = render(*SIZES[size])
    config = pick(objects, "Kafka")["spec"]["kafka"]["config"]
    topic = of_kind(objects, "KafkaTopic")[TOPIC]
    copies = ("offsets.topic", "transaction.state.log", "default")
    assert {config[f"{name}.replication.factor"] for name in copies} == {topic["replicas"]}
    in_sync = {config["transaction.state.log.min.isr"], config["min.insync.replicas"]}
    assert in_sync == {topic["config"]["min.insync.replicas"]}
    assert config["auto.create.topics.enable"] is False


def test_settings_of_brokers_are_ours_unless_given() -> None:
    given = {"num.io.threads": 16, "auto.create.topics.enable": True, "log.segment.bytes": 2**30}
    config = pick(render(config=given), "Kafka")["spec"]["kafka"]["config"]
    assert given.items() <= config.items()
    assert config["min.insync.replicas"] == 2


def test_production_has_the_room_that_its_values_file_says() -> None:
    objects = render(*SIZES["production"])
    brokers = of_kind(objects, "KafkaNodePool")["broker"]
    room = int(brokers["storage"]["volumes"][0]["size"].removesuffix("Gi")) * 2**30
    topics = of_kind(objects, "KafkaTopic")
    bytes_per_ms = 4000 * 100 / 1000
    share = {TOPIC: 1.0, OUTPUTS[0]: 1.0, OUTPUTS[1]: 0.01, OUTPUTS[2]: 0.0}
    taken = (
        sum(
            bytes_per_ms * part * topics[name]["config"]["retention.ms"] * topics[name]["replicas"]
            for name, part in share.items()
        )
        / brokers["replicas"]
    )
    assert 1.4 < room / taken < 1.6


def test_nodes_of_a_role_are_kept_apart_and_counted_alone() -> None:
    pools = of_kind(render(*SIZES["production"]), "KafkaNodePool")
    for role, pool in pools.items():
        (constraint,) = pool["template"]["pod"]["topologySpreadConstraints"]
        assert constraint["whenUnsatisfiable"] == "DoNotSchedule"
        selected = {"strimzi.io/cluster": "kafka", f"strimzi.io/{role}-role": "true"}
        assert constraint["labelSelector"] == {"matchLabels": selected}


@pytest.mark.parametrize("size", SIZES)
def test_every_container_is_fit_for_restricted_pod_security(size: str) -> None:
    objects = render(*SIZES[size])
    entity = pick(objects, "Kafka")["spec"]["entityOperator"]["template"]
    containers = [entity["topicOperatorContainer"], entity["userOperatorContainer"]]
    for pool in of_kind(objects, "KafkaNodePool").values():
        containers += [pool["template"]["kafkaContainer"], pool["template"]["initContainer"]]
    for container in containers:
        assert container["securityContext"] == {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_whatever_belongs_to_the_cluster_says_so() -> None:
    for each in render(clusterName="payments"):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "kafka"
        assert (labels.get("strimzi.io/cluster") == "payments") == (each["kind"] != "Kafka")


def test_a_new_version_of_the_chart_restarts_no_broker() -> None:
    """Strimzi copies labels to pods, but for those of app.kubernetes.io."""
    for each in render():
        ours = ("app.kubernetes.io/", "strimzi.io/cluster")
        assert all(label.startswith(ours) for label in each["metadata"]["labels"])


def test_names_are_what_the_services_and_the_other_chart_take_for_granted() -> None:
    settings = DetectorSettings()
    assert settings.transactions_topic == TOPIC
    assert [settings.legit_topic, settings.fraud_topic, settings.dead_letter_topic] == OUTPUTS
    assert settings.consumer_group == GROUP
    other = yaml.safe_load(Path(OURS, "values.yaml").read_text("utf-8"))
    assert other["kafka"]["cluster"] == VALUES["clusterName"]
    assert other["detector"]["kafkaUser"] == VALUES["users"]["detector"]
    assert [other["generator"]["kafkaUser"]] == VALUES["users"]["producers"]
    assert other["test"]["kafkaUser"] == VALUES["users"]["tester"]


def misspelt(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values with a key too many, once for each mapping that is not free to have any."""
    if isinstance(value, list):
        for i, child in enumerate(value):
            for where, changed in misspelt(child, f"{path}[{i}]"):
                yield where, [*value[:i], changed, *value[i + 1 :]]
    elif isinstance(value, dict) and path != "config":
        yield path, {**value, "misspelt": 1}
        for key, child in value.items():
            for where, changed in misspelt(child, f"{path}.{key}".lstrip(".")):
                yield where, {**value, key: changed}


MISSPELT = dict(misspelt(VALUES))


@pytest.mark.parametrize(("where", "values"), MISSPELT.items(), ids=list(MISSPELT))
def test_a_key_that_is_not_known_is_refused_by_name(where: str, values: dict[str, Any]) -> None:
    said = rejection(**values)
    assert "misspelt" in said
    assert all(part.strip("0123456789]") in said for part in where.replace("[", ".").split("."))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replication": {"factor": "3", "minInSync": 2}}, "/replication/factor"),
        ({"keepOnUninstall": "yes"}, "/keepOnUninstall"),
        ({"clusterName": "Payments"}, "/clusterName"),
        ({"kafkaVersion": "4.3"}, "/kafkaVersion"),
        ({"consumerGroup": "*"}, "/consumerGroup"),
        ({"users": {"detector": "*"}}, "/users/detector"),
        ({"topics": {"fraud": {"name": "fraud_cases"}}}, "/topics/fraud/name"),
        ({"topics": {"fraud": {"partitions": 0}}}, "/topics/fraud/partitions"),
        ({"spread": {"whenUnsatisfiable": "Never"}}, "/spread/whenUnsatisfiable"),
        ({"networkPolicyPeers": [{}]}, "/networkPolicyPeers/0"),
        ({"config": {"log.roots": [1]}}, "/config/log.roots"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    assert said in rejection(**values)


def pool(**changes: Any) -> dict[str, Any]:
    """The default pool, changed."""
    return {**VALUES["pools"][0], **changes}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pools": [pool(), pool()]}, "pools: two have one name (dual, dual)"),
        ({"pools": [pool(replicas=2)]}, "pools: 2 controllers; make it an odd number"),
        ({"pools": [pool(roles=["broker"])]}, "pools: 0 controllers"),
        ({"pools": [pool(replicas=1)]}, "replication.factor is 3, but there are 1 brokers"),
        ({"replication": {"minInSync": 3}}, "replication.minInSync is 3 of 3 copies"),
        ({"topics": {"fraud": {"name": TOPIC}}}, "topics: two have one name"),
        ({"users": {"readers": ["detector"]}}, "users: two have one name"),
        ({"users": {"tester": "tail"}}, "users: two have one name"),
        ({"users": {"console": "tail"}}, "users: two have one name"),
        ({"config": {"ssl.keystore.location": "/"}}, "config.ssl.keystore.location is Strimzi's"),
        ({"pools": [pool(storage={"type": "persistent-claim"})]}, "size"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values: dict[str, Any], said: str) -> None:
    assert said in rejection(**values)


@pytest.mark.parametrize("keep", [True, False])
def test_what_an_uninstall_leaves_is_as_chosen(
    keep: bool, all_kinds: ApiServer, namespace: str
) -> None:
    here = ("--namespace", namespace, "--kubeconfig", str(all_kinds.kubeconfig))
    done = helm("install", "kafka", KAFKA, *here, f"--set=keepOnUninstall={str(keep).lower()}")
    assert done.returncode == 0, done.stderr
    there = ("get", STRIMZI_KINDS, "--namespace", namespace, "--output=name")
    installed = all_kinds.kubectl(*there).split()
    assert len(installed) == 1 + 1 + 4 + 4
    done = helm("uninstall", "kafka", *here)
    assert done.returncode == 0, done.stderr
    assert all_kinds.kubectl(*there).split() == (installed if keep else [])


@pytest.mark.parametrize("keep", [True, False])
def test_topics_wait_for_no_operator_that_has_gone(keep: bool) -> None:
    kafka = pick(render(keepOnUninstall=keep), "Kafka")["spec"]
    container = kafka["entityOperator"]["template"]["topicOperatorContainer"]
    without = [{"name": "STRIMZI_USE_FINALIZERS", "value": "false"}]
    assert container.get("env", []) == ([] if keep else without)


def test_the_notes_say_the_next_three_commands(all_kinds: ApiServer) -> None:
    there = ("--namespace=payments", f"--kubeconfig={all_kinds.kubeconfig}", "--dry-run=server")
    done = helm("install", "kafka", KAFKA, *there)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:\n")[2]
    commands = [line.split()[:4] for line in notes.split("\n") if line.startswith("  ")]
    assert commands == [
        ["kubectl", "-n", "payments", "wait"],
        ["kubectl", "-n", "payments", "wait"],
        ["helm", "-n", "payments", "install"],
    ]


def test_the_readme_is_that_of_these_values() -> None:
    assert readme(Path(KAFKA)) == Path(KAFKA, "README.md").read_text("utf-8"), (
        f"write it anew: python -m tools.shipped.chart_readme {KAFKA}"
    )


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [
        ("Kafka", ("spec", "kafka", "replicas"), "unknown field"),
        ("KafkaTopic", ("spec", "partition"), "unknown field"),
        ("KafkaUser", ("spec", "authorization", "type"), "spec.authorization.type"),
        ("KafkaNodePool", ("spec", "replicas"), "spec.replicas"),
    ],
)
def test_strimzis_schemas_refuse_what_is_none_of_theirs(
    kind: str, path: tuple[str, ...], said: str, all_kinds: ApiServer, namespace: str
) -> None:
    """What shows that the test above could fail."""
    changed = next(each for each in render() if each["kind"] == kind)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "wrong"
    with pytest.raises(ControlPlaneError) as caught:
        dry_run(all_kinds, namespace, [changed])
    assert said in str(caught.value)
    assert path[-1] in str(caught.value)
