"""From `kubectl apply` to every detector: real API server, operator, broker and detectors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.operator.system import Operated, rule
from tests.support.streaming import produce, until, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.kubernetes import ApiServer
    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

pytestmark = [pytest.mark.kafka, pytest.mark.kubernetes]


@pytest.fixture
def operated(
    api_server: ApiServer, broker: Broker, topics: Topics, tmp_path: Path
) -> Iterator[Operated]:
    """An operator and two detectors."""
    with Operated(api_server, tmp_path) as system:
        system.add_detector("detector-a", broker, topics)
        system.add_detector("detector-b", broker, topics)
        yield system


def pages(system: Operated) -> list[dict[str, Any]]:
    return [json.loads(d.get("/ruleset")[1]) for d in system.detectors.values()]


def generations(system: Operated, name: str) -> list[int]:
    """The generation of a rule that each detector has; 0 for none."""
    return [
        next((r["generation"] for r in page["rules"] if r["name"] == name), 0)
        for page in pages(system)
    ]


def test_a_rule_is_applied_when_every_detector_confirms_it(operated: Operated) -> None:
    operated.apply(rule())
    message = operated.until_condition("high-amount", "Applied", "True")
    assert message == "generation 1 is in force on 2 of 2 detectors"
    assert operated.get("high-amount")["status"]["applied"] == "2/2"
    assert generations(operated, "high-amount") == [1, 1]
    assert [report["state"] for report in operated.reports()["detectors"]] == ["Current"] * 2


def test_an_edit_changes_verdicts_and_a_delete_ends_them(
    operated: Operated, broker: Broker, topics: Topics
) -> None:
    payment = b'{"source":"a","target":"b","amount":500.0,"currency":"USD"}'
    operated.apply(rule(limit=900.0))
    operated.until_condition("high-amount", "Applied", "True")
    produce(broker, topics.transactions, [(b"a", payment)])
    wait_for(broker, [topics.legit], 1)
    operated.apply(rule(limit=100.0))
    operated.until_condition("high-amount", "Applied", "True")
    produce(broker, topics.transactions, [(b"a", payment)])
    wait_for(broker, [topics.fraud], 1)
    operated.kubectl("delete", "fraudrule", "high-amount")
    until(lambda: generations(operated, "high-amount") == [0, 0], "gone from every detector")
    produce(broker, topics.transactions, [(b"a", payment)])
    wait_for(broker, [topics.legit], 2)


def test_a_bad_edit_leaves_the_last_good_version_in_force_and_mending_it_recovers(
    operated: Operated,
) -> None:
    operated.apply(rule())
    operated.until_condition("high-amount", "Applied", "True")
    bad = rule()
    bad["spec"]["expression"] = "transaction.amount >= 900"
    operated.apply(bad)
    message = operated.until_condition("high-amount", "Ready", "False", "InvalidExpression")
    assert "write 900.0" in message
    assert "generation 1 stays in force until this is corrected" in message
    assert operated.get("high-amount")["status"]["activeGeneration"] == 1
    assert generations(operated, "high-amount") == [1, 1]
    operated.apply(rule(limit=800.0))
    operated.until_condition("high-amount", "Ready", "True", "Accepted")
    operated.until_condition("high-amount", "Applied", "True")
    assert generations(operated, "high-amount") == [3, 3]


def test_a_rule_with_windows_is_warmed_applied_and_exact(operated: Operated) -> None:
    operated.apply(windowed())
    operated.until_condition("burst", "Applied", "True")
    operated.until_condition("burst", "Exact", "True", "Exact")
    operated.apply(windowed(window="10m"))
    until(lambda: operated.get("burst")["status"]["activeGeneration"] == 2, "the edit decides")
    operated.until_condition("burst", "Applied", "True")
    assert generations(operated, "burst") == [2, 2]


def test_a_rule_that_groups_by_what_the_topic_is_not_keyed_by_says_what_to_set(
    operated: Operated,
) -> None:
    operated.apply(windowed(groupBy="target"))
    message = operated.until_condition("burst", "Ready", "False", "UndeclaredGrouping")
    assert "KEYED_BY=target" in message


def windowed(**aggregate: str) -> dict[str, Any]:
    """A rule with a window."""
    count = {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"}
    return rule("burst", expression="payments > 3", aggregates=[count | aggregate])


def test_a_detector_that_comes_later_is_counted_and_one_that_goes_is_not(
    operated: Operated, broker: Broker, topics: Topics
) -> None:
    operated.apply(rule())
    operated.until_condition("high-amount", "Applied", "True")
    operated.add_detector("detector-c", broker, topics)
    until(lambda: operated.get("high-amount")["status"]["applied"] == "3/3", "three of three")
    operated.detectors["detector-c"].kill()
    until(lambda: operated.get("high-amount")["status"]["applied"] == "2/3", "two of three")
    assert [r["state"] for r in operated.reports()["detectors"]] == ["Current"] * 2 + ["Silent"]
    operated.pods.delete("detector-c")
    until(lambda: operated.get("high-amount")["status"]["applied"] == "2/2", "two of two")


def test_a_detector_with_another_threshold_is_told_of(
    operated: Operated, broker: Broker, topics: Topics
) -> None:
    operated.apply(rule())
    operated.add_detector("detector-c", broker, topics, SCORE_THRESHOLD="50")
    until(
        lambda: [r["state"] for r in operated.reports()["detectors"]][2:] == ["OtherSettings"],
        "its settings differ",
    )
    operated.until_condition("high-amount", "Applied", "True")


def test_matches_of_the_last_hour_are_those_of_all_detectors_also_for_an_operator_that_is_new(
    operated: Operated, broker: Broker, topics: Topics
) -> None:
    operated.apply(rule(), rule("much", limit=500.0, mode="Shadow"))
    for name in ("high-amount", "much"):
        operated.until_condition(name, "Applied", "True")
    payments = [
        (
            f"a{n}".encode(),
            f'{{"source":"a{n}","target":"b","amount":{a},"currency":"USD"}}'.encode(),
        )
        for n in range(60)
        for a in ("950.0", "600.0")
    ]
    produce(broker, topics.transactions, payments)
    wait_for(broker, [topics.legit, topics.fraud], 120)
    assert all(page["recent"]["matches"] for page in pages(operated)), "each judged some"
    operated.kill_operator()
    for name in ("high-amount", "much"):
        forget = '[{"op": "remove", "path": "/status/matches"}]'
        patch = ("patch", "fraudrule", name, "--subresource=status", "--type=json", "-p", forget)
        operated.kubectl(*patch)
    operated.operator.start()
    assert until_told(operated, "high-amount", 60) == {"enforce": 60, "shadow": 0}
    assert until_told(operated, "much", 120) == {"enforce": 0, "shadow": 120}
    head, *rows = operated.kubectl("get", "fraudrules").splitlines()
    column = head.split().index("MATCHES")
    assert [row.split()[column] for row in rows] == ["60", "120"]


def until_told(system: Operated, name: str, last_hour: int) -> dict[str, int]:
    """Wait until a rule's status tells of so many matches, and give those of each mode."""
    found = until(
        lambda: told if (told := matches(system, name)).get("lastHour") == last_hour else {},
        f"{last_hour} matches of {name}",
    )
    assert found["since"] <= found["observedAt"]
    return {mode: found[mode] for mode in ("enforce", "shadow")}


def matches(system: Operated, name: str) -> dict[str, Any]:
    return dict(system.get(name).get("status", {}).get("matches", {}))
