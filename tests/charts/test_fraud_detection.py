"""The chart of everything of ours: what it renders, and that a real API server takes it."""

from __future__ import annotations

import json
import shutil
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
from tests.charts.rendering import KAFKA, OURS, helm, pick, render, template
from tests.charts.workloads import EVERYTHING, WORKLOADS, container, pod_specs, workloads
from tools.shipped.chart_readme import readme

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

VALUES = yaml.safe_load(Path(OURS, "values.yaml").read_text("utf-8"))
SETTINGS: dict[str, Any] = {
    "detector": DetectorSettings,
    "generator": GeneratorSettings,
    "operator": OperatorSettings,
    "test": DetectorSettings,
    "console": ConsoleSettings,
}
_COMPONENT = "app.kubernetes.io/component"


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
        for variable in pod_specs(**EVERYTHING)[component]["containers"][0]["env"]
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
        for w in workloads(**values).values()
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


def test_an_upgrade_of_the_chart_alone_restarts_nothing(tmp_path: Path) -> None:
    newer = tmp_path / "fraud-detection"
    shutil.copytree(OURS, newer)
    about = yaml.safe_load((newer / "Chart.yaml").read_text("utf-8"))
    versions = {"version": "9.9.9", "appVersion": "9.9.9"}
    (newer / "Chart.yaml").write_text(yaml.safe_dump(about | versions), encoding="utf-8")
    image = {"digest": "sha256:" + "0" * 64}
    old, new = (
        {
            o["metadata"]["name"]: o["spec"]["template"]
            for o in render(chart, image=image, **EVERYTHING)
            if o["kind"] in WORKLOADS
        }
        for chart in (OURS, str(newer))
    )
    assert old == new
    assert len(old) == 4


def test_no_pod_has_the_addresses_of_services_in_its_environment() -> None:
    found = {name: spec["enableServiceLinks"] for name, spec in pod_specs(**EVERYTHING).items()}
    assert found == dict.fromkeys(found, False)
    assert len(found) == 5


def test_the_whole_authority_of_the_cluster_is_trusted() -> None:
    for component, spec in pod_specs(**EVERYTHING).items():
        if component != "operator":
            (main,) = spec["containers"]
            environment = {v["name"]: v.get("value") for v in main["env"]}
            mounts = {m["mountPath"]: m["name"] for m in main["volumeMounts"]}
            name = mounts[environment["KAFKA_SSL_CA_LOCATION"]]
            (secret,) = [v["secret"] for v in spec["volumes"] if v["name"] == name]
            assert secret["secretName"] == "kafka-cluster-ca-cert"
            assert "items" not in secret


CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingWebhookConfiguration",
}


def cluster_scoped(**options: Any) -> set[tuple[str, str]]:
    return {
        (o["kind"], o["metadata"]["name"])
        for o in render(OURS, **options)
        if o["kind"] in CLUSTER_SCOPED
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("a" * 63, "b" * 52 + "c"), ("a" * 63, "b" * 52 + "d")),
        (("a", "b"), ("a", "b-view")),
    ],
)
def test_no_two_releases_have_a_name_of_the_cluster_in_common(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    names = [
        cluster_scoped(namespace=namespace, release=release) for namespace, release in (one, other)
    ]
    assert len(names[0]) == 5
    assert not names[0] & names[1]


def test_rights_of_people_can_be_left_out() -> None:
    found = cluster_scoped(rbac={"aggregate": False}, namespace="a", release="b")
    assert {kind for kind, name in found if name != "a.b"} == set()


@pytest.mark.parametrize("chart", [OURS, KAFKA])
def test_a_chart_above_may_switch_it_on_and_off(chart: str, tmp_path: Path) -> None:
    above = tmp_path / "above"
    name = Path(chart).name
    shutil.copytree(chart, above / "charts" / name)
    version = yaml.safe_load(Path(chart, "Chart.yaml").read_text("utf-8"))["version"]
    dependency = {"name": name, "version": version, "condition": f"{name}.enabled"}
    about = {"apiVersion": "v2", "name": "above", "version": "1.0.0", "dependencies": [dependency]}
    (above / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    assert render(str(above), **{name: {"enabled": True}, "global": {"of": "others"}})
    assert render(str(above), **{name: {"enabled": False}}) == []


def test_a_cluster_issuer_may_make_the_certificate() -> None:
    issuer = {"certManagerIssuer": "ours", "certManagerIssuerKind": "ClusterIssuer"}
    certificate = pick(render(OURS, operator={"webhook": issuer}), "Certificate")
    assert certificate["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": "ours"}


def test_large_numbers_are_written_out() -> None:
    values = OUR_ROWS["names that are numbers, and numbers that are large"]
    environment = {
        v["name"]: v.get("value") for v in container(workloads(**values)["detector"])["env"]
    }
    assert environment["SCORE_THRESHOLD"] == environment["NO"] == "1000000"
    assert environment["MAX_FUTURE_SECONDS"] == "10000000"
    assert environment["ON"] == "true"


def test_with_cert_manager_the_operator_only_reads_its_own_configuration() -> None:
    objects = render(OURS, operator={"webhook": {"certManagerIssuer": "ours"}})
    webhook = pick(objects, "ValidatingWebhookConfiguration")
    certificate = pick(objects, "Certificate")
    injected = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
    assert injected == f"default/{certificate['metadata']['name']}"
    bound = pick(objects, "ClusterRoleBinding")["roleRef"]["name"]
    (role,) = [o for o in objects if o["kind"] == "ClusterRole" and o["metadata"]["name"] == bound]
    assert role["rules"] == [
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingwebhookconfigurations"],
            "resourceNames": [webhook["metadata"]["name"]],
            "verbs": ["get"],
        }
    ]


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
    # Not ours: what charts share, and the condition of a chart above.
    known = schema_paths(schema) - {"global", "enabled"}
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
        ({"detector": {"kind": "DaemonSet"}}, "kind"),
        ({"networkPolicy": {"consoleFrom": [{}]}}, "consoleFrom"),
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
    """`python -m tools.shipped.chart_readme charts/fraud-detection` writes it."""
    assert Path(OURS, "README.md").read_text("utf-8") == readme(Path(OURS))
