"""Values to render the charts with: rows that someone chose, and each switch and choice alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tests.charts.rendering import KAFKA, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

TRANSACTION_SCHEMA = Path("services/transactions/schema.yaml").read_text("utf-8")
PRODUCTION = f"{KAFKA}/values-production.yaml"
DEV = f"{KAFKA}/values-dev.yaml"


class Row(NamedTuple):
    """A chart, and what it is rendered with."""

    chart: str
    files: tuple[str, ...]
    values: dict[str, Any]


OUR_ROWS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "a broker without TLS": {"kafka": {"bootstrapServers": "kafka:9092", "cluster": ""}},
    "by CPU": {"detector": {"autoscaling": {"by": "cpu", "maxReplicas": 12}}},
    "by lag": {"detector": {"autoscaling": {"by": "keda"}}},
    "by lag, without TLS": {
        "kafka": {"bootstrapServers": "kafka:9092", "cluster": ""},
        "detector": {"autoscaling": {"by": "keda"}},
    },
    "a schema of one's own": {
        "rules": {"schema": TRANSACTION_SCHEMA, "scoreThreshold": 150},
        "test": {"transaction": {"merchant": "a 'test' with \"quotes\" and $(VARIABLES)"}},
    },
    "certificates by cert-manager": {"operator": {"webhook": {"certManagerIssuer": "ours"}}},
    "a StatefulSet by lag": {"detector": {"kind": "StatefulSet", "autoscaling": {"by": "keda"}}},
    "no webhook, no policies": {
        "operator": {"webhook": {"enabled": False}},
        "networkPolicy": {"enabled": False},
    },
    "nobody is let in": {
        "operator": {"webhook": {"enabled": False}},
        "generator": {"enabled": True},
        "console": {"enabled": True},
        "networkPolicy": {"metricsFrom": {"kubernetes.io/metadata.name": None}},
    },
    # What YAML would read as something else without quotes: numbers, booleans and null.
    "names that are numbers, and numbers that are large": {
        "image": {"repository": "1e3", "tag": "1.0", "pullSecrets": ["123"]},
        "kafka": {
            "cluster": "123",
            "topics": {
                "transactions": "1e3",
                "legit": "0x1F",
                "fraud": "null",
                "deadLetters": "1_0",
            },
        },
        "rules": {"scoreThreshold": 1_000_000},
        "detector": {
            "consumerGroup": "on",
            "keyedBy": "no",
            "kafkaUser": "1e3",
            "maxFutureSeconds": 10_000_000,
            "env": {"NO": 1_000_000, "ON": True},
            "nodeSelector": {"disk": "123"},
            "autoscaling": {"by": "keda", "lagPerReplica": 10_000_000},
        },
        "generator": {"enabled": True, "kafkaUser": "off", "transactionsPerSecond": 1_000_000},
        "operator": {"webhook": {"certManagerIssuer": "123"}},
        "console": {"enabled": True, "kafkaUser": "yes"},
        "test": {"kafkaUser": "true", "transaction": {"amount": 1_000_000}},
        "podMonitors": {"enabled": True},
    },
    "all that can be set": {
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
        "detector": {
            "env": {"KAFKA_SSL_KEY_PASSWORD": "secret"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "fraud", "operator": "Exists"}],
        },
        "generator": {"enabled": True, "transactionsPerSecond": "max", "replicas": 3},
        "test": {"env": {"KAFKA_SSL_KEY_PASSWORD": "secret"}, "timeoutSeconds": 5},
        "alerts": {"enabled": True, "labels": {"release": "prometheus"}},
        "podMonitors": {"enabled": True},
        "console": {"enabled": True, "nodeSelector": {"disk": "fast"}},
        "networkPolicy": {"consoleFrom": [{"podSelector": {"matchLabels": {"login": "before"}}}]},
    },
}
KAFKA_ROWS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "all that can be set": {
        "clusterName": "payments",
        "kafkaVersion": "4.2.1",
        "metadataVersion": "4.2-IV1",
        "keepOnUninstall": True,
        "rackTopologyKey": "topology.kubernetes.io/zone",
        "config": {
            "log.cleaner.threads": 2,
            "ssl.enabled.protocols": "TLSv1.3",
            "num.io.threads": "16",
        },
        "networkPolicyPeers": [
            {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "fraud-detection"}}},
            {
                "namespaceSelector": {},
                "podSelector": {
                    "matchExpressions": [{"key": "kafka", "operator": "In", "values": ["yes"]}]
                },
            },
            {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
        ],
    },
    "names that are numbers": {
        "clusterName": "on",
        "rackTopologyKey": "no",
        "consumerGroup": "1e3",
        "podMonitor": {"enabled": True},
        "users": {"producers": ["123"], "detector": "1e3", "console": "off"},
    },
    "many producers, no readers, no tests": {
        "users": {
            "producers": ["cards", "transfers"],
            "detector": "judge",
            "readers": [],
            "tester": "",
        }
    },
}
ROWS = {
    **{f"ours, {name}": Row(OURS, (), values) for name, values in OUR_ROWS.items()},
    **{
        f"kafka, {size}, {name}": Row(KAFKA, files, values)
        for size, files in {"default": (), "dev": (DEV,), "production": (PRODUCTION,)}.items()
        for name, values in KAFKA_ROWS.items()
    },
}


def schema_of(chart: str) -> dict[str, Any]:
    """The schema of a chart's values, with what it refers to in its place."""
    schema = json.loads(Path(chart, "values.schema.json").read_text("utf-8"))
    whole: dict[str, Any] = _resolved(schema, schema.get("definitions", {}))
    return whole


def values_of(chart: str) -> dict[str, Any]:
    """The values that a chart comes with."""
    values: dict[str, Any] = yaml.safe_load(Path(chart, "values.yaml").read_text("utf-8"))
    return values


def single_changes(chart: str) -> Iterator[tuple[str, Row]]:
    """Each switch turned and each other choice taken, one at a time, with the rest as it comes.

    They follow the schema, so that a value that is added to the chart is here too.
    """
    for path, schema, default in _values(schema_of(chart), values_of(chart), ()):
        choices = [not default] if isinstance(default, bool) else schema.get("enum", [])
        for choice in choices:
            if choice != default:
                changed: Any = choice
                for key in reversed(path):
                    changed = {key: changed}
                yield f"{'.'.join(path)}={choice}", Row(chart, (), changed)


def misspelt(chart: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Values with one key that nobody knows, once for each mapping that is not free to have any."""
    yield "", {"misspelt": 1}
    for path, schema, _ in _values(schema_of(chart), values_of(chart), ()):
        # One that lists its keys takes no other.
        if "properties" in schema or schema.get("additionalProperties") is False:
            changed: Any = {"misspelt": 1}
            for key in reversed(path):
                changed = {key: changed}
            yield ".".join(path), changed


def _values(
    schema: dict[str, Any], values: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], Any]]:
    """Every value below one: its path, its schema, what it is."""
    for key, inner in schema.get("properties", {}).items():
        if isinstance(values, dict) and key in values:
            yield (*path, key), inner, values[key]
            yield from _values(inner, values[key], (*path, key))


def _resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _resolved(definitions[reference.rpartition("/")[2]], definitions)
    return {key: _resolved(inner, definitions) for key, inner in schema.items()}
