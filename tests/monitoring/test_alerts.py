"""The alerts as promtool sees them: what fires each and what does not, and what they link to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.telemetry import metrics
from tests.charts.rendering import OURS, pick, render, template
from tests.monitoring.alert_rules import CHART, a_second_for_a_minute, alerts, rule_file
from tests.monitoring.prometheus import PrometheusError, promtool

TESTS = Path("tests/monitoring/alert_tests.yaml")
RUNBOOKS = Path("docs/runbooks.md")
SELECTOR = 'namespace="fraud"'
ALERTS = alerts(rule_file())
NAMES = [alert["alert"] for alert in ALERTS]


def run_tests(folder: Path, rules: str, tests: str) -> None:
    """Run promtool's tests against a rule file."""
    (folder / "alerts.yaml").write_text(rules, encoding="utf-8")
    (folder / "tests.yaml").write_text(tests, encoding="utf-8")
    promtool("test", "rules", str(folder / "tests.yaml"))


@pytest.mark.usefixtures("installed")
def test_each_alert_fires_for_its_fault_and_for_nothing_near_it(tmp_path: Path) -> None:
    run_tests(tmp_path, rule_file(SELECTOR), TESTS.read_text("utf-8"))


@pytest.mark.usefixtures("installed")
def test_an_alert_that_does_not_fire_fails_the_tests(tmp_path: Path) -> None:
    tests = yaml.safe_load(TESTS.read_text("utf-8"))
    tests["tests"] = [one for one in tests["tests"] if "waits" in one["name"]]
    deaf = rule_file(SELECTOR, lagRecords=1_000_000)
    with pytest.raises(PrometheusError, match="alertname: FraudLagGrowing") as caught:
        run_tests(tmp_path, deaf, yaml.safe_dump(tests))
    assert str(caught.value).count("alertname: ") == 1


@pytest.mark.usefixtures("installed")
def test_without_kubernetes_they_are_a_rule_file_too(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(rule_file(), encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "alerts.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_fired_and_kept_quiet(name: str) -> None:
    fires = {
        bool(case.get("exp_alerts"))
        for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    }
    assert fires == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_each_alert_says_how_bad_it_is_and_what_is_wrong_in_numbers(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    told = alert["annotations"]
    assert told.keys() == {"summary", "description", "runbook_url"}
    assert re.search(r"\d|\$value", told["description"])
    assert told["description"].endswith(".")
    assert "for" in alert


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert [alert["annotations"]["runbook_url"] for alert in ALERTS] == [
        f"{RUNBOOKS}#{name.lower()}" for name in NAMES
    ]
    assert list(sections()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_is_meant_at_risk_to_be_looked_at_and_done(name: str) -> None:
    leads = re.findall(r"^\*\*([A-Z].*?)\.\*\*", sections()[name], re.MULTILINE)
    assert leads == ["Means", "At risk", "Look at", "Do"]


def sections() -> dict[str, str]:
    """The sections of the runbooks, by their heading."""
    _, *parts = RUNBOOKS.read_text("utf-8").split("\n## ")
    return {part.split("\n")[0]: part for part in parts}


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    known = {
        sample
        for registry in (metrics.DETECTOR, metrics.OPERATOR, metrics.GENERATOR)
        for metric in registry.collect()
        for sample in (f"{metric.name}{end}" for end in ("", "_total", "_count", "_bucket"))
    }
    asked = set(re.findall(r"\bfraud_\w+", rule_file()))
    assert len(asked) > 10
    assert asked <= known


def test_the_rules_ask_for_labels_that_there_are() -> None:
    for metric, label, value in re.findall(
        r'\b(fraud_\w+?)(?:_total)?\{(\w+)="(\w+)"', rule_file()
    ):
        values = {name._name: v for name, v in metrics.LABEL_VALUES.items()}
        assert value in values[metric], (metric, label)


def test_each_threshold_is_used_and_the_objective_is_a_bound_of_the_histogram() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["alerts"]
    used = set(re.findall(r"\$\((\w+)\)", (CHART / "files" / "alerts.yaml").read_text("utf-8")))
    assert used == {*values["thresholds"], "selector", "runbooks"}
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    thresholds = schema["properties"]["alerts"]["properties"]["thresholds"]["properties"]
    bounds = {str(bound) for bound in metrics.DECISION_LATENCY._upper_bounds}
    assert set(thresholds["latencySeconds"]["enum"]) <= bounds


@pytest.mark.usefixtures("installed")
def test_shortened_rules_are_the_same_but_for_their_times(tmp_path: Path) -> None:
    shortened = a_second_for_a_minute(rule_file())
    (tmp_path / "alerts.yaml").write_text(shortened, encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "alerts.yaml"))
    times = re.compile(r"\[\w+\]|for: \w+|offset \w+")
    assert times.sub("", shortened) == times.sub("", rule_file())
    assert set(times.findall(shortened)) == {
        *("[5s]", "[10s]", "[30s]", "[60s]", "[360s]", "[1440s]", "offset 60s"),
        *("for: 0s", "for: 1s", "for: 2s", "for: 5s", "for: 10s", "for: 15s"),
    }


@pytest.mark.kubernetes
def test_the_chart_has_the_same_rules_for_the_operator_of_prometheus() -> None:
    values = {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "thresholds": {"lagRecords": 20_000_000, "latencyPercent": 99.9},
    }
    objects = render(OURS, namespace="fraud", alerts=values)
    rule = pick(objects, "PrometheusRule")
    plain = rule_file(SELECTOR, lagRecords=20_000_000, latencyPercent=99.9)
    assert rule["spec"] == yaml.safe_load(plain)
    assert "> 20000000\n" in plain
    assert rule["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.kubernetes
def test_without_the_operator_of_prometheus_there_are_none() -> None:
    assert not [o for o in render(OURS) if o["kind"] == "PrometheusRule"]


@pytest.mark.kubernetes
@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ({"thresholds": {"latencySeconds": "0.3"}}, "latencySeconds"),
        ({"thresholds": {"latencyPercent": 100}}, "latencyPercent"),
        ({"thresholds": {"lag": 5}}, "lag"),
        ({"runbooks": 'x" or vector(1) #'}, "runbooks"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused_by_name(alerts: dict[str, Any], said: str) -> None:
    done = template(OURS, alerts=alerts)
    assert done.returncode != 0
    assert said in done.stderr
