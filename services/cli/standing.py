"""`fraud rules get`: the state of each rule in a cluster, and the detectors that have it.

All data comes from objects that any reader of the namespace may read: the
FraudRules, and the ConfigMap in which the operator reports on the detectors.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
from lightkube import ApiError, Client, ConfigError, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import ConfigMap
from rich.console import Console
from rich.table import Table

from services.operator.detectors import MANY, Report
from services.rules.model import GROUP, KIND, PLURAL, VERSION
from services.settings import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOT_FOUND, _FORBIDDEN = 404, 403
_FraudRule = create_namespaced_resource(GROUP, VERSION, KIND, PLURAL)


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of one rule, for people.

    `state` is Ready, Warming (valid, and detectors still build its windows),
    Disabled, Stale (an older generation is in force), Invalid (no generation is in force) or
    Pending (the operator has not read it yet). `inexact` is the reason why its windows
    lack records, "" if they do not.
    """

    name: str
    mode: str
    state: str
    generation: int
    active_generation: int
    have: tuple[str, ...]
    lack: dict[str, str]
    message: str
    inexact: str
    warnings: tuple[str, ...]


class _Reports(msgspec.Struct):
    detectors: tuple[Report, ...] = ()


def get_rules(names: list[str], namespace: str, config_map: str, output: str) -> int:
    """Print the state of rules; return 0.

    Args:
        names: Names of the rules; all rules if it is empty.
        namespace: Name of the namespace; "" is the kubeconfig's.
        config_map: ConfigMap with the operator's report on the detectors.
        output: text or json.

    Raises:
        SettingError: The cluster cannot be reached, or there is no such rule.

    """
    rules, reports = _read(namespace, config_map)
    if unknown := sorted(set(names) - {rule["metadata"]["name"] for rule in rules}):
        raise SettingError(f"no FraudRule {', '.join(unknown)} in this namespace")
    chosen = [rule for rule in rules if not names or rule["metadata"]["name"] in names]
    standings = [standing(rule, reports) for rule in chosen]
    if output == "json":
        told = msgspec.json.encode({"rules": standings, "detectors": reports})
        sys.stdout.write(msgspec.json.format(told).decode() + "\n")
    else:
        _print(standings, reports)
    return 0


def standing(rule: dict[str, Any], reports: Iterable[Report]) -> Standing:
    """Determine the state of a rule.

    Args:
        rule: FraudRule from the API.
        reports: States of the detectors.

    """
    status = rule.get("status") or {}
    conditions: dict[str, dict[str, Any]] = {c["type"]: c for c in status.get("conditions", ())}
    ready, exact = conditions.get("Ready", {}), conditions.get("Exact", {})
    name, generation = rule["metadata"]["name"], rule["metadata"]["generation"]
    active = status.get("activeGeneration", 0)
    never = "" if active else "no version of the rule was good yet"
    lack = {r.pod: never or _why(r, name) for r in reports if never or {name, MANY} & {*r.missing}}
    return Standing(
        name=name,
        mode=rule["spec"]["mode"],
        state=_state(conditions, generation, active),
        generation=generation,
        active_generation=active,
        have=tuple(r.pod for r in reports if r.pod not in lack),
        lack=lack,
        message=ready.get("message", "") if ready.get("status") == "False" else "",
        inexact=exact.get("message", "") if exact.get("status") == "False" else "",
        warnings=tuple(status.get("warnings", ())),
    )


def _why(report: Report, name: str) -> str:
    """Return the reason why a detector lacks a rule."""
    if {name, MANY} & {*report.warming}:
        return "builds its windows from the log"
    return report.message


def _state(conditions: dict[str, dict[str, Any]], generation: int, active: int) -> str:
    ready = conditions.get("Ready", {})
    if ready.get("observedGeneration") != generation:
        return "Pending"
    if ready["status"] == "True":
        warming = conditions.get("Applied", {}).get("reason") == "Warming"
        return "Disabled" if ready["reason"] == "Disabled" else "Warming" if warming else "Ready"
    return "Stale" if active else "Invalid"


def _read(namespace: str, config_map: str) -> tuple[list[dict[str, Any]], tuple[Report, ...]]:
    try:
        client = Client(KubeConfig.from_env(), namespace=namespace or None)
        rules = [dict(rule) for rule in client.list(_FraudRule)]
        text = (client.get(ConfigMap, config_map).data or {}).get("detectors.json", "{}")
    except ConfigError as error:
        raise SettingError(f"no way to a cluster: {error}; KUBECONFIG names a file") from None
    except ApiError as error:
        raise SettingError(_said(error, config_map)) from None
    except httpx2.HTTPError as error:
        raise SettingError(f"the cluster does not answer: {error}") from None
    client.close()
    return rules, msgspec.json.decode(text, type=_Reports).detectors


def _said(error: ApiError, config_map: str) -> str:
    """Describe an error of the API to a user who only reads."""
    message = error.status.message or str(error)
    if error.status.code == _FORBIDDEN:
        return f"{message}; ask for the right to read fraudrules and configmaps in the namespace"
    if error.status.code == _NOT_FOUND and config_map in message:
        return f"no ConfigMap {config_map} here: no operator has run in this namespace yet"
    if error.status.code == _NOT_FOUND:
        return "the cluster knows no FraudRules; install the CRD with `kubectl apply -f k8s/crds`"
    return message


def _print(standings: list[Standing], reports: tuple[Report, ...]) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not standings:
        console.print("no FraudRules in this namespace")
    table = _table("RULE", "MODE", "STATE", "GENERATION", "DETECTORS")
    for told in standings:
        decides = f"{told.active_generation or '-'} of {told.generation}"
        have = f"{len(told.have)}/{len(reports)}"
        table.add_row(told.name, told.mode, told.state, decides, have)
    console.print(table)
    for told in standings:
        for line in _details(told):
            console.print(line)
    if reports:
        console.print()
        pods = _table("DETECTOR", "STATE", "RULESET", "")
        for report in reports:
            pods.add_row(report.pod, report.state, report.hash or "-", report.message)
        console.print(pods)


def _details(told: Standing) -> Iterable[str]:
    """Return the problems of a rule."""
    lacking = ", ".join(f"{pod} ({why})" for pod, why in told.lack.items())
    notes = [
        *([told.message] if told.message else []),
        *([f"not on {lacking}"] if lacking and told.active_generation else []),
        *([f"not exact: {told.inexact}"] if told.inexact else []),
        *(f"warning: {warning}" for warning in told.warnings),
    ]
    if notes:
        yield f"\n{told.name}:"
        yield from ("  " + note.replace("\n", "\n  ") for note in notes)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
