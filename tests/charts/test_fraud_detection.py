"""The chart of everything of ours: what it renders, and that a real API server takes it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.console.settings import ConsoleSettings, endpoints
from services.detector.settings import DetectorSettings
from services.generator.settings import GeneratorSettings
from services.operator.settings import OperatorSettings
from services.settings import load
from tests.charts.matrix import OUR_ROWS, TRANSACTION_SCHEMA, misspelt
from tests.charts.readme import readme
from tests.charts.rendering import OURS, helm, pick, render, template

if TYPE_CHECKING:
    from tests.kubernetes_fixtures import ApiServer

pytestmark = pytest.mark.kubernetes

VALUES = yaml.safe_load(Path(OURS, "values.yaml").read_text("utf-8"))
SETTINGS: dict[str, Any] = {
    "detector": DetectorSettings,
    "generator": GeneratorSettings,
    "operator": OperatorSettings,
    "test": DetectorSettings,
    "console": ConsoleSettings,
}
WORKLOADS = {"Deployment", "StatefulSet"}


def workloads(**values: Any) -> dict[str, dict[str, Any]]:
    """The workloads by their component."""
    return {
        o["metadata"]["labels"]["app.kubernetes.io/component"]: o
        for o in render(OURS, **values)
        if o["kind"] in WORKLOADS
    }


def container(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]["containers"][0]
    return found


def pod_specs(**values: Any) -> dict[str, dict[str, Any]]:
    """The specs of all pods by their component."""
    found = {
        name: workload["spec"]["template"]["spec"] for name, workload in workloads(**values).items()
    }
    return found | {"test": pick(render(OURS, **values), "Pod")["spec"]}


@pytest.mark.parametrize("values", OUR_ROWS.values(), ids=OUR_ROWS)
def test_pods_pass_the_restricted_standard(api_server: ApiServer, values: dict[str, Any]) -> None:
    namespace = api_server.new_namespace()
    label = "pod-security.kubernetes.io/enforce=restricted"
    api_server.kubectl("label", "namespace", namespace, label)
    for component, spec in pod_specs(**values).items():
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": component},
            "spec": spec,
        }
        create = ("create", "--dry-run=server", "-f", "-", "--namespace", namespace)
        api_server.kubectl(*create, stdin=json.dumps(pod))


@pytest.mark.parametrize("component", SETTINGS)
def test_the_environment_is_the_services_settings(component: str) -> None:
    environment = {
        variable["name"]: variable.get("value", "from-the-pod")
        for variable in pod_specs(console={"enabled": True})[component]["containers"][0]["env"]
    }
    settings = load(SETTINGS[component], environment)
    known = {field.upper() for field in settings.__struct_fields__}
    assert environment.keys() <= known


def test_the_operator_and_the_detectors_are_given_the_same_rules() -> None:
    values = {
        "rules": {"schema": TRANSACTION_SCHEMA, "scoreThreshold": 150},
        "detector": {"keyedBy": "target"},
    }
    both = [
        {v["name"]: v.get("value") for v in container(w)["env"]}
        for name, w in workloads(**values).items()
        if name != "generator"
    ]
    for one, other in pairwise(both):
        for name in ("SCORE_THRESHOLD", "SCHEMA_PATH", "KEYED_BY"):
            assert one[name] == other[name]
    assert both[0]["KEYED_BY"] == "target"


def test_the_detectors_mount_what_the_operator_writes_as_a_folder() -> None:
    found = workloads()
    written = {v["name"]: v.get("value") for v in container(found["operator"])["env"]}
    volumes = found["detector"]["spec"]["template"]["spec"]["volumes"]
    mounted = next(v["configMap"]["name"] for v in volumes if v["name"] == "rules")
    assert mounted == written["RULES_CONFIG_MAP"]
    for workload in found.values():
        assert not any("subPath" in m for m in container(workload).get("volumeMounts", ()))


def test_the_operator_finds_the_detectors_of_its_release_alone() -> None:
    found = workloads(release="two")
    environment = {v["name"]: v.get("value") for v in container(found["operator"])["env"]}
    selector = dict(pair.split("=") for pair in environment["DETECTOR_SELECTOR"].split(","))
    labels = found["detector"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert not selector.items() <= workloads()["detector"]["metadata"]["labels"].items()


def test_only_the_operator_has_a_token() -> None:
    automounted = {
        name for name, spec in pod_specs().items() if spec["automountServiceAccountToken"]
    }
    assert automounted == {"operator"}


def test_probes_and_metrics_are_on_a_port_called_status() -> None:
    for workload in workloads().values():
        assert "status" in {port["name"] for port in container(workload)["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            assert container(workload)[probe]["httpGet"]["port"] == "status"


def test_who_may_reach_whom() -> None:
    objects = render(OURS)
    allowed = {
        (o["metadata"]["labels"]["app.kubernetes.io/component"], source(rule), port["port"])
        for o in objects
        if o["kind"] == "NetworkPolicy"
        for rule in o["spec"]["ingress"]
        for port in rule["ports"]
    }
    assert allowed == {
        ("detector", "monitoring operator", "status"),
        ("operator", "monitoring", "status"),
        ("operator", "anyone", "webhook"),
        ("generator", "monitoring", "status"),
    }


def test_the_test_may_reach_kafka_and_the_names_and_nobody_may_reach_it() -> None:
    policy = pick(render(OURS), "NetworkPolicy", "fraud-detection-test")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    brokers, names = policy["egress"]
    labels = {"strimzi.io/cluster": "kafka", "strimzi.io/kind": "Kafka"}
    assert brokers["to"] == [{"podSelector": {"matchLabels": labels}}]
    assert brokers["ports"] == [{"port": 9093}]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} >= {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert "to" not in names
    elsewhere = {"kafka": {"bootstrapServers": "broker.example:9092", "cluster": ""}}
    policy = pick(render(OURS, **elsewhere), "NetworkPolicy", "fraud-detection-test")["spec"]
    assert policy["egress"] == [{}]


def test_the_test_sends_as_the_values_say_with_an_identity_of_its_own() -> None:
    own = {"merchant": "a 'quoted' \"name\"", "amount": 0.5}
    changed = {"transaction": own, "timeoutSeconds": 7, "kafkaUser": "prober"}
    pod = pick(render(OURS, test=changed), "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (main,) = pod["spec"]["containers"]
    command, verb, timeout, transaction = main["args"]
    assert (command, verb, timeout) == ("cli", "round-trip", "--timeout=7")
    assert json.loads(transaction.removeprefix("--transaction=")) == own
    assert pod["spec"]["activeDeadlineSeconds"] > 7
    secrets = {
        volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume
    }
    assert secrets == {"kafka-cluster-ca-cert", "prober"}


def test_the_console_is_off_by_default_and_finds_the_detectors_of_its_release() -> None:
    assert "console" not in workloads()
    objects = render(OURS, release="two", namespace="fraud", console={"enabled": True})
    environment = {
        v["name"]: v.get("value")
        for v in container(workloads(console={"enabled": True})["console"])["env"]
    }
    ((host, port),) = endpoints(environment["DETECTORS"])
    assert host == "fraud-detection-detector.default.svc"
    service = pick(objects, "Service", "two-detector")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["ports"][0]["port"] == port
    page = pick(objects, "Service", "two-console")["spec"]
    assert page.get("type", "ClusterIP") == "ClusterIP"
    assert page["ports"][0]["targetPort"] == "status"


def test_the_console_may_reach_the_detectors_and_prometheus_alone_the_console() -> None:
    objects = render(OURS, console={"enabled": True})
    found = {
        name: [
            source(rule)
            for rule in pick(objects, "NetworkPolicy", f"fraud-detection-{name}")["spec"]["ingress"]
        ]
        for name in ("detector", "console")
    }
    assert found == {"detector": ["monitoring operator console"], "console": ["monitoring"]}


def source(rule: dict[str, Any]) -> str:
    """Who a rule of a NetworkPolicy lets in, in words."""
    names = []
    for peer in rule.get("from", ()):
        space = peer.get("namespaceSelector", {}).get("matchLabels", {})
        pods = peer.get("podSelector", {}).get("matchLabels", {})
        names.append(
            space.get("kubernetes.io/metadata.name") or pods["app.kubernetes.io/component"]
        )
    return " ".join(names) or "anyone"


def test_autoscaling_leaves_the_number_to_the_scaler() -> None:
    for by in ("cpu", "keda"):
        values = {"detector": {"autoscaling": {"by": by}}}
        assert "replicas" not in workloads(**values)["detector"]["spec"]
    assert workloads()["detector"]["spec"]["replicas"] == 1


def test_keda_scales_by_the_lag_of_the_group_with_the_detectors_identity() -> None:
    objects = render(OURS, detector={"autoscaling": {"by": "keda", "maxReplicas": 6}})
    scaled = pick(objects, "ScaledObject")["spec"]
    trigger = scaled["triggers"][0]
    assert scaled["maxReplicaCount"] == 6
    assert trigger["metadata"]["consumerGroup"] == VALUES["detector"]["consumerGroup"]
    secrets = pick(objects, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {s["parameter"]: s["name"] for s in secrets} == {
        "ca": "kafka-cluster-ca-cert",
        "cert": "detector",
        "key": "detector",
    }


def test_with_cert_manager_the_operator_needs_no_rights_on_the_cluster() -> None:
    objects = render(OURS, operator={"webhook": {"certManagerIssuer": "ours"}})
    webhook = pick(objects, "ValidatingWebhookConfiguration")
    certificate = pick(objects, "Certificate")
    injected = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    assert injected == f"default/{certificate['metadata']['name']}"
    assert not any(o["kind"] == "ClusterRoleBinding" for o in objects)


def test_the_resource_stays_when_the_release_goes() -> None:
    definition = pick(render(OURS), "CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert definition == yaml.safe_load(Path("k8s/crds/fraudrules.yaml").read_text("utf-8"))


def paths(value: Any, path: str = "") -> set[str]:
    """Every key of nested values, with its path."""
    if not isinstance(value, dict) or not value:
        return {path}
    return set().union(
        *(paths(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items())
    )


def schema_paths(schema: dict[str, Any], path: str = "") -> set[str]:
    inner = schema.get("properties")
    if not inner:
        return {path}
    return set().union(*(schema_paths(s, f"{path}.{n}".lstrip(".")) for n, s in inner.items()))


def test_the_schema_knows_the_values_and_no_others() -> None:
    schema = json.loads(Path(OURS, "values.schema.json").read_text("utf-8"))
    known = schema_paths(schema) - {"global"}
    for path in paths(VALUES):
        assert any(path == k or path.startswith(f"{k}.") for k in known), path
    for path in known:
        assert any(v == path or v.startswith(f"{path}.") for v in paths(VALUES)), path


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"detectr": {}}, "detectr"),
        ({"detector": {"replica": 3}}, "replica"),
        ({"detector": {"autoscaling": {"by": "magic"}}}, "by"),
        ({"detector": {"keyedBy": ""}}, "keyedBy"),
        ({"detector": {"maxLateSeconds": -1}}, "maxLateSeconds"),
        ({"detector": {"maxLateSeconds": 90000}}, "maxLateSeconds"),
        ({"operator": {"env": {"KEYED_BY": "target"}}}, "KEYED_BY"),
        ({"operator": {"webhook": {"failurePolicy": "Maybe"}}}, "failurePolicy"),
        ({"kafka": {"topics": {"frauds": "x"}}}, "frauds"),
        ({"image": {"digest": "sha256:12"}}, "digest"),
        ({"detector": {"env": {"LOG_LEVEL": "debug"}}}, "LOG_LEVEL"),
        ({"generator": {"env": {"lower": "1"}}}, "lower"),
        ({"kafka": {"cluster": "", "bootstrapServers": ""}}, "has to be set"),
        ({"test": {"timeoutSeconds": 0}}, "timeoutSeconds"),
        ({"test": {"transaction": "{}"}}, "transaction"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    done = template(OURS, **values)
    assert done.returncode != 0
    assert said in done.stderr


MISSPELT = dict(misspelt(OURS))


@pytest.mark.parametrize(("where", "values"), MISSPELT.items(), ids=list(MISSPELT))
def test_a_values_file_with_a_misspelt_key_is_refused(
    where: str, values: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = helm("template", "fraud", OURS, f"--values={file}")
    assert done.returncode != 0
    assert "misspelt" in done.stderr
    assert where.replace(".", "/") in done.stderr


def test_the_readme_has_every_value() -> None:
    """`python -m tests.charts.readme charts/fraud-detection` writes it."""
    assert Path(OURS, "README.md").read_text("utf-8") == readme(Path(OURS))
