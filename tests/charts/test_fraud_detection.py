"""The chart of everything of ours: what it renders, and that a real API server takes it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.detector.settings import DetectorSettings
from services.generator.settings import GeneratorSettings
from services.operator.settings import OperatorSettings
from services.settings import load
from tests.charts.readme import readme
from tests.charts.rendering import OURS, pick, render, template

if TYPE_CHECKING:
    from tests.kubernetes_fixtures import ApiServer

pytestmark = pytest.mark.kubernetes

VALUES = yaml.safe_load(Path(OURS, "values.yaml").read_text("utf-8"))
SETTINGS: dict[str, Any] = {
    "detector": DetectorSettings,
    "generator": GeneratorSettings,
    "operator": OperatorSettings,
}
WORKLOADS = {"Deployment", "StatefulSet"}
SCHEMA = Path("services/transactions/schema.yaml").read_text("utf-8")
MATRIX: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "a broker without TLS": {"kafka": {"bootstrapServers": "kafka:9092", "cluster": ""}},
    "by CPU": {"detector": {"autoscaling": {"by": "cpu", "maxReplicas": 12}}},
    "a schema of one's own": {"rules": {"schema": SCHEMA, "scoreThreshold": 150}},
    "no webhook, no generator, no policies": {
        "operator": {"webhook": {"enabled": False}},
        "generator": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
    "all that can be set": {
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
        "detector": {
            "env": {"KAFKA_SSL_KEY_PASSWORD": "secret"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "fraud", "operator": "Exists"}],
        },
        "generator": {"transactionsPerSecond": "max", "replicas": 3},
    },
}
FOREIGN = {"ScaledObject", "TriggerAuthentication", "Certificate"}


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


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_a_real_api_server_takes_all_of_it(api_server: ApiServer, values: dict[str, Any]) -> None:
    namespace = api_server.new_namespace()
    objects = [o for o in render(OURS, namespace=namespace, **values) if o["kind"] not in FOREIGN]
    text = yaml.safe_dump_all(objects)
    apply = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    api_server.kubectl(*apply, "--namespace", namespace, stdin=text)


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_pods_pass_the_restricted_standard(api_server: ApiServer, values: dict[str, Any]) -> None:
    namespace = api_server.new_namespace()
    label = "pod-security.kubernetes.io/enforce=restricted"
    api_server.kubectl("label", "namespace", namespace, label)
    for component, workload in workloads(**values).items():
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": component},
            "spec": workload["spec"]["template"]["spec"],
        }
        create = ("create", "--dry-run=server", "-f", "-", "--namespace", namespace)
        api_server.kubectl(*create, stdin=json.dumps(pod))


@pytest.mark.parametrize("component", SETTINGS)
def test_the_environment_is_the_services_settings(component: str) -> None:
    environment = {
        variable["name"]: variable.get("value", "from-the-pod")
        for variable in container(workloads()[component])["env"]
    }
    settings = load(SETTINGS[component], environment)
    known = {field.upper() for field in settings.__struct_fields__}
    assert environment.keys() <= known


def test_the_operator_and_the_detectors_are_given_the_same_rules() -> None:
    values = {
        "rules": {"schema": SCHEMA, "scoreThreshold": 150},
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
        name
        for name, workload in workloads().items()
        if workload["spec"]["template"]["spec"]["automountServiceAccountToken"]
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
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    done = template(OURS, **values)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_readme_has_every_value() -> None:
    """`python -m tests.charts.readme charts/fraud-detection` writes it."""
    assert Path(OURS, "README.md").read_text("utf-8") == readme(Path(OURS))
