"""The dashboards: what they are made of, and that each query finds something in Prometheus."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import generate_latest

from services.telemetry import metrics
from tests.charts.rendering import pick, render
from tests.monitoring.alert_rules import rule_file
from tests.monitoring.measured_broker import MeasuredBroker
from tests.monitoring.prometheus import NAMESPACE, Prometheus, promtool
from tests.operator.system import Operated, rule
from tests.support.kafka import make_topics
from tests.support.streaming import Service, produce, until
from tools.shipped.dashboards.__main__ import FOLDER, made
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes import ApiServer

# Those of a dashboard's variables, and Grafana's own; at most a minute goes by in a test.
CHOSEN = {
    "namespace": NAMESPACE,
    "rule": ".+",
    "severity": ".+",
    "__rate_interval": "10s",
    "__range": "2m",
}
FILES = sorted(FOLDER.glob("*.json"))
BOARDS: dict[str, Any] = {path.stem: json.loads(path.read_text("utf-8")) for path in FILES}
PANELS = {
    f"{stem}: {panel['title']}": panel
    for stem, board in BOARDS.items()
    for panel in board["panels"]
}
ADDED = {"namespace", "pod", "container", "le", "quantile"}  # labels that are nobody's own


def queries(board: dict[str, Any]) -> list[str]:
    """What a dashboard asks Prometheus: panels, annotations, and choices of variables."""
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [mark["expr"] for mark in board["annotations"]["list"]]
    choices = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    found = [re.fullmatch(r"label_values\((.+), (\w+)\)", choice) for choice in choices]
    return asked + [f"count by ({f[2]}) ({f[1]})" for f in found if f]


ASKED = [query for board in BOARDS.values() for query in queries(board)]


def declared() -> dict[str, set[str]]:
    """The labels of each of our metrics, by the names of its samples."""
    found: dict[str, set[str]] = {}
    for registry in (metrics.DETECTOR, metrics.GENERATOR, metrics.OPERATOR):
        for collector, names in registry._collector_to_names.items():
            labels = set(getattr(collector, "_labelnames", ()))
            found |= {name: labels for name in names if not name.endswith("_created")}
    return found


def used(text: str) -> dict[str, set[str]]:
    """The metrics that PromQL names, and the labels that it chooses by."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, chosen in re.findall(r"\b((?:fraud|process)_\w+)(?:\{([^}]*)\})?", text):
        found[name] |= set(re.findall(r"(\w+)\s*[=!]", chosen))
    return found


def test_the_json_is_what_the_code_makes() -> None:
    assert {path.name: path.read_text("utf-8") for path in FILES} == made(), "run `make dashboards`"


def test_dashboards_have_names_that_stay_and_marks_of_rule_changes() -> None:
    for stem, board in BOARDS.items():
        assert board["uid"] == stem
        assert [mark["name"] for mark in board["annotations"]["list"]] == ["Rule changes"]
        assert [v["name"] for v in board["templating"]["list"]][:2] == ["datasource", "namespace"]


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_where_to_go_on(name: str) -> None:
    panel = PANELS[name]
    assert re.fullmatch(r"[A-Z].+\.", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    (link,) = panel["links"]
    assert link["url"].split("?")[0].removeprefix("/d/") in BOARDS
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    assert all("$namespace" in target["expr"] for target in panel["targets"])


def test_no_two_panels_overlap() -> None:
    for board in BOARDS.values():
        places = [panel["gridPos"] for panel in board["panels"]]
        taken = [
            (x, y)
            for p in places
            for x in range(p["x"], p["x"] + p["w"])
            for y in range(p["y"], p["y"] + p["h"])
        ]
        assert len(taken) == len(set(taken))
        assert max(x for x, _ in taken) == 23


def test_queries_name_only_metrics_and_labels_that_there_are() -> None:
    ours = declared()
    for query in [*ASKED, rule_file()]:
        for name, labels in used(query).items():
            if not name.startswith("process_"):
                assert name in ours, (name, query)
                assert labels <= ours[name] | ADDED, (name, query)


def test_every_metric_is_shown_or_alerted_on() -> None:
    shown = {name for query in [*ASKED, rule_file()] for name in used(query)}
    for registry in (metrics.DETECTOR, metrics.GENERATOR, metrics.OPERATOR):
        for collector, names in registry._collector_to_names.items():
            if any(name.startswith("fraud_") for name in names):
                assert shown & set(names), collector


@pytest.mark.usefixtures("installed")
def test_promtool_has_nothing_to_say_of_the_metrics() -> None:
    for registry in (metrics.DETECTOR, metrics.GENERATOR, metrics.OPERATOR):
        promtool("check", "metrics", stdin=generate_latest(registry).decode())


@pytest.fixture(scope="module")
def prometheus(
    installed: None,  # noqa: ARG001 - it skips
    api_server: ApiServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """A Prometheus that reads a broker, two detectors, the operator and a generator at work."""
    folder = tmp_path_factory.mktemp("monitored")
    kafka = pick(render("charts/kafka-cluster"), "Kafka")["spec"]["kafka"]
    allowed = kafka["metricsConfig"]["values"]["allowList"]
    with MeasuredBroker(allowed) as broker:
        topics = make_topics(broker)
        load = {"TRANSACTIONS_PER_SECOND": "500", "TRANSACTIONS_PROFILE": "accounts"}
        generator = Service(
            "generator", topics.environment(broker) | load, folder / "generator.log"
        )
        with Operated(api_server, folder, WEBHOOK_PORT=str(free_ports(1)[0])) as system, generator:
            for name in ("detector-a", "detector-b"):
                system.add_detector(name, broker, topics)
            detectors = [f"{n}@{address(d)}" for n, d in system.detectors.items()]
            scrape = {
                "detector": detectors,
                "operator": [f"operator@{address(system.operator)}"],
                "generator": [f"generator@{address(generator)}"],
                "kafka": [f"kafka-dual-0@{broker.metrics}"],
            }
            with Prometheus(folder, scrape) as prometheus:
                largest = {"name": "largest", "function": "Max", "of": "amount"}
                largest |= {
                    "where": "transaction.amount > 1e9",
                    "groupBy": "source",
                    "window": "1h",
                }
                system.apply(
                    rule(severity="High"),
                    rule("without-value", expression="largest > 1.0", aggregates=[largest]),
                    rule("small", mode="Shadow", expression="transaction.amount < 5.0"),
                    rule("failing", expression="1 / int(transaction.amount * 0.0) > 0"),
                    rule("bad", expression="transaction.amuont > 1.0"),
                )
                system.until_condition("high-amount", "Applied", "True")
                broken = [(b"a", b"{"), (b"a", b"[]"), (b"a", old_payment())] * 3
                produce(broker, topics.transactions, broken)
                system.apply(rule(limit=100.0, severity="High"))
                yield prometheus


def address(service: Service) -> str:
    """Where a service's metrics are."""
    (started,) = until(lambda: service.lines("started"), f"{service.name} started")
    return f"127.0.0.1:{started['status_port']}"


def old_payment() -> bytes:
    """A transaction from before those of the generator, and not too late."""
    payment = {"source": "a", "target": "b", "amount": 950.0, "currency": "USD"}
    return json.dumps(payment).encode()


@pytest.mark.kafka
@pytest.mark.kubernetes
def test_every_query_finds_something(prometheus: Prometheus) -> None:
    def finds(query: str) -> bool:
        for name, value in CHOSEN.items():
            query = query.replace(f"${name}", value)
        return any(not math.isnan(sample.value) for sample in prometheus.query(query))

    left = ASKED

    def all_found() -> bool:
        nonlocal left
        left = [query for query in left if not finds(query)]
        return not left

    try:
        until(all_found, "every query finds something")
    except AssertionError:
        pytest.fail("these find nothing:\n" + "\n".join(left))
