"""Rules with windows in the operator: what is refused and why, and what travels."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from services.operator.rulebook import Rulebook
from services.rules import Compiler, read_manifests
from services.rules.ruleset import rule_hash
from services.transactions import load_schema
from tests.operator.bad_windows import (
    AGGREGATES,
    GOOD_WITH_WINDOWS,
    WINDOWS_REFUSED_BY_SCHEMA,
    WINDOWS_REFUSED_BY_WEBHOOK,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operator.one_wrong import BadManifest

Object = dict[str, Any]

SCHEMA = load_schema(None)
COUNT = AGGREGATES[0]
PAYMENT = {"source": "alice", "target": "bob", "amount": 5.0, "currency": "USD"}


def book(keyed_by: str = "source") -> Rulebook:
    return Rulebook(Compiler(SCHEMA, keyed_by), 100)


def fraudrule(generation: int = 1, **spec: Any) -> Object:
    """The good rule with windows as the API gives it, with other fields of spec."""
    return {
        **GOOD_WITH_WINDOWS,
        "metadata": {"name": "burst", "generation": generation},
        "spec": {**GOOD_WITH_WINDOWS["spec"], "examples": [], **spec},
    }


def counting(**fields: Any) -> Object:
    """A rule with one aggregate."""
    return fraudrule(expression="payments > 3", aggregates=[{**COUNT, **fields}])


FIVE = [{"transaction": PAYMENT, "repeat": 5}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (counting(), "Accepted"),
        (counting(groupBy="target"), "UndeclaredGrouping"),
        (counting(groupBy="target", where="transaction.amount < 5"), "UndeclaredGrouping"),
        (counting(groupBy="sorce"), "UndeclaredGrouping"),
        (counting(groupBy=""), "InvalidSpec"),
        (counting(groupBy="target", window="2h"), "InvalidSpec"),
        (counting(window="2h"), "InvalidSpec"),
        (counting(window="1 minute"), "InvalidSpec"),
        (counting(of="amount"), "InvalidSpec"),
        (counting(function="Sum"), "InvalidSpec"),
        (counting(function="Sum", of="source"), "InvalidSpec"),
        (counting(name="namespace"), "InvalidSpec"),
        (fraudrule(aggregates=[COUNT, COUNT]), "InvalidSpec"),
        (counting(where="transaction.amount < 5"), "InvalidExpression"),
        (fraudrule(expression="payments > 3.0"), "InvalidExpression"),
        (fraudrule(expression="paymets > 3"), "InvalidExpression"),
        (
            fraudrule(
                expression="payments > 6",
                examples=[{"name": "x", "given": FIVE, "transaction": PAYMENT, "expect": "Match"}],
            ),
            "ExampleFailed",
        ),
    ],
)
def test_the_reason_is_one_word_for_what_is_wrong(value: Object, reason: str) -> None:
    (standing,) = book().update([value])
    assert standing.reason == reason


def test_another_grouping_is_refused_with_the_setting_that_would_allow_it() -> None:
    (standing,) = book().update([counting(groupBy="target")])
    (problem,) = standing.problems
    assert problem.field == "spec.aggregates[0].groupBy"
    assert "set KEYED_BY=target" in problem.hint


def test_the_grouping_that_is_declared_is_taken() -> None:
    (standing,) = book("target").update([counting(groupBy="target")])
    assert standing.reason == "Accepted"


def test_without_keys_no_rule_may_have_windows() -> None:
    (standing,) = book("none").update([counting()])
    assert standing.reason == "UndeclaredGrouping"
    assert "KEYED_BY" in standing.problems[0].hint


def test_a_bad_edit_of_a_window_leaves_the_last_good_version_deciding() -> None:
    rulebook = book()
    rulebook.update([counting()])
    (standing,) = rulebook.update([{**counting(groupBy="target"), "metadata": meta(2)}])
    assert standing.rule is not None
    assert (standing.generation, standing.rule.metadata.generation) == (2, 1)


def meta(generation: int) -> Object:
    return {"name": "burst", "generation": generation}


def test_detectors_read_the_windows_that_were_published(tmp_path: Path) -> None:
    rulebook = book()
    (standing,) = rulebook.update([fraudrule()])
    file = tmp_path / "ruleset.json"
    file.write_text(rulebook.document(), encoding="utf-8")
    (manifest,) = read_manifests(file)
    assert manifest.rule is not None
    assert standing.rule is not None
    assert manifest.rule.spec.aggregates == standing.rule.spec.aggregates
    assert rule_hash(manifest.rule) == rulebook.rule_hashes["burst"]


def test_an_operator_that_starts_again_knows_the_last_good_windows() -> None:
    before = book()
    before.update([fraudrule()])
    after = book()
    after.restore(before.document())
    assert after.rule_hashes == before.rule_hashes


def test_what_cannot_be_grouped_by_any_more_decides_no_longer() -> None:
    before = book()
    before.update([fraudrule()])
    after = book("target")
    after.restore(before.document())
    assert after.rule_hashes == {}
    (standing,) = after.update([fraudrule()])
    assert (standing.reason, standing.rule) == ("UndeclaredGrouping", None)


@pytest.mark.parametrize(
    "bad", [*WINDOWS_REFUSED_BY_SCHEMA, *WINDOWS_REFUSED_BY_WEBHOOK], ids=lambda bad: bad.name
)
def test_a_bad_rule_stops_no_other(bad: BadManifest) -> None:
    value = json.loads(bad.text)
    value["metadata"]["generation"] = 1
    first, other = book().update([value, fraudrule()])
    assert first.problems
    assert not any("cannot be judged" in problem.message for problem in first.problems)
    assert other.reason == "Accepted"


def test_a_key_that_the_schema_does_not_have_is_told_at_the_start() -> None:
    environment = {**os.environ, "KEYED_BY": "sorce"}
    command = [sys.executable, "-m", "services.operator"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("operator: KEYED_BY: the schema has no field 'sorce'; name one")


def test_the_last_good_versions_are_read_by_an_operator_whose_rules_have_more_fields() -> None:
    """Their checksum is of what is written, and not of what a newer model makes of it."""
    before = book()
    before.update([fraudrule()])
    written = json.loads(before.document())
    plain = [{**item, "spec": {"expression": "true"}} for item in written["items"]]
    written["items"] = plain
    written["metadata"]["checksum"] = hashlib.sha256(
        json.dumps(plain, separators=(",", ":")).encode()
    ).hexdigest()[:16]
    after = book()
    after.restore(json.dumps(written))
    assert after.rule_hashes.keys() == {"burst"}
