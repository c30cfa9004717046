"""Every manifest that the charts render, shown to a real API server that knows all their kinds."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.charts.matrix import ROWS, Row, single_changes
from tests.charts.rendering import KAFKA, OURS, dry_run, render
from tools.local_kubernetes import ControlPlaneError

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

CHANGES = {chart: dict(single_changes(chart)) for chart in (OURS, KAFKA)}


def rendered(row: Row, namespace: str) -> list[dict[str, Any]]:
    return render(row.chart, *row.files, release="on", namespace=namespace, **row.values)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_manifest_is_taken(row: Row, all_kinds: ApiServer, namespace: str) -> None:
    objects = rendered(row, namespace)
    answer = dry_run(all_kinds, namespace, objects)
    assert len(answer) == len(objects)
    assert all(line.endswith("serverside-applied (server dry run)") for line in answer)


@pytest.mark.parametrize("chart", CHANGES)
def test_every_switch_and_choice_is_taken(chart: str, all_kinds: ApiServer, namespace: str) -> None:
    objects = [each for row in CHANGES[chart].values() for each in rendered(row, namespace)]
    once = {json.dumps(each, sort_keys=True): each for each in objects}
    dry_run(all_kinds, namespace, list(once.values()))


def test_the_single_changes_are_those_of_the_schema() -> None:
    """What shows that the test above is about something."""
    assert {
        "detector.autoscaling.by=keda",
        "operator.webhook.failurePolicy=Fail",
        "networkPolicy.enabled=False",
        "image.pullPolicy=Never",
    } <= CHANGES[OURS].keys()
    assert {"keepOnUninstall=True", "spread.whenUnsatisfiable=DoNotSchedule"} <= CHANGES[
        KAFKA
    ].keys()


def test_a_field_that_no_schema_has_is_refused_in_every_kind(
    all_kinds: ApiServer, namespace: str
) -> None:
    """What shows that the tests above could fail."""
    objects = [each for row in ROWS.values() for each in rendered(row, namespace)]
    by_kind = {each["kind"]: copy.deepcopy(each) for each in objects if "spec" in each}
    assert by_kind.keys() >= {"ScaledObject", "TriggerAuthentication", "Certificate", "Kafka"}
    for each in by_kind.values():
        each["spec"]["misspelt"] = 1
    with pytest.raises(ControlPlaneError) as caught:
        dry_run(all_kinds, namespace, list(by_kind.values()))
    said = str(caught.value)
    rejected = re.findall(r'Error\((\w+)\.spec\): unknown field "misspelt"', said)
    assert sorted(rejected) == sorted(by_kind), said
