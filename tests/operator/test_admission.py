"""What the admission webhook says of a rule: the words of `fraud rules check`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from services.cli.check import check_rules
from services.operator.admission import review
from services.rules import CompiledRule
from tests.support.manifests import fraud_rule
from tests.support.rules import ALWAYS, COMPILER, NEVER

if TYPE_CHECKING:
    from pathlib import Path

Object = dict[str, Any]

BAD = "transaction.amuont > 0.0"
PAYMENT = {"source": "alice", "target": "bob", "amount": 10.0, "currency": "USD"}
MATCHES = {"name": "shown", "transaction": PAYMENT, "expect": "Match"}
DOES_NOT = {"name": "not shown", "transaction": PAYMENT, "expect": "NoMatch"}


def fraudrule(name: str = "limit", **spec: object) -> Object:
    """A FraudRule as the API server passes it on; a field that is None is left out."""
    return fraud_rule(name, 1, **{"expression": ALWAYS, **spec})


def with_metadata(value: Object, **metadata: object) -> Object:
    return {**value, "metadata": {**value["metadata"], **metadata}}


def checked(value: Object, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `fraud rules check` prints of a manifest, without the place and the name of each."""
    file = folder / "rule.json"
    file.write_text(json.dumps(value), encoding="utf-8")
    check_rules([file], None, "source", "text")
    place = rf"^{re.escape(str(file))}:\d+: {value['metadata']['name']}: "
    return re.sub(place, "", capsys.readouterr().out, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "value",
    [
        fraudrule(expression=BAD),
        fraudrule(expression="transaction.amount >= 900 && transaction.zzz == 1"),
        fraudrule(expression="transaction.amount > 0.0 &&\n  transaction.curency == 'USD'"),
        fraudrule(expression="transaction.amount"),
        fraudrule(expression="true &&"),
        fraudrule(expression="transaction.source.matches('(')"),
        fraudrule(expression=""),
        fraudrule(expression=None),
        fraudrule(expression=5),
        fraudrule(expression="x" * 5000),
        fraudrule(expresion=ALWAYS),
        fraudrule(score=0),
        fraudrule(score="100"),
        fraudrule(mode="Enforced"),
        fraudrule(reasonCode="card testing"),
        fraudrule(description=5),
        fraudrule(action="Allow", score=50),
        fraudrule("3ds-missing"),
        fraudrule("Limit"),
        fraudrule(examples=[DOES_NOT]),
        fraudrule(examples=[MATCHES, DOES_NOT, {**DOES_NOT, "name": "another"}]),
        fraudrule(examples=[MATCHES, MATCHES]),
        fraudrule(examples=[{**MATCHES, "transaction": {}}]),
        fraudrule(examples=[{**MATCHES, "expect": "match"}]),
    ],
    ids=lambda value: json.dumps(value["spec"])[:70],
)
def test_a_bad_rule_is_refused_in_the_words_of_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: Object
) -> None:
    said = review(value, None, COMPILER)
    assert f"{said}\n" == checked(value, tmp_path, capsys)


def test_a_good_rule_is_admitted() -> None:
    assert isinstance(review(fraudrule(examples=[MATCHES]), None, COMPILER), CompiledRule)


def test_a_bad_edit_of_a_good_rule_is_refused() -> None:
    said = review(fraudrule(expression=BAD), fraudrule(), COMPILER)
    assert isinstance(said, str)


def test_a_bad_edit_of_a_bad_rule_is_refused() -> None:
    old = fraudrule(expression="transaction.zzz == 1")
    assert isinstance(review(fraudrule(expression=BAD), old, COMPILER), str)


def test_an_edit_that_mends_a_rule_is_admitted() -> None:
    said = review(fraudrule(expression=NEVER), fraudrule(expression=BAD), COMPILER)
    assert isinstance(said, CompiledRule)


def test_an_edit_of_the_examples_alone_is_judged() -> None:
    said = review(fraudrule(examples=[DOES_NOT]), fraudrule(examples=[MATCHES]), COMPILER)
    assert isinstance(said, str)


def test_a_rule_without_an_earlier_version_is_judged() -> None:
    assert isinstance(review(fraudrule(expression=BAD), {}, COMPILER), str)


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"team": "cards"}},
        {"annotations": {"note": "to be mended"}},
        {"finalizers": []},
        {"finalizers": [], "deletionTimestamp": "2026-01-01T12:00:00Z"},
        {"ownerReferences": [], "resourceVersion": "8"},
    ],
    ids=str,
)
@pytest.mark.parametrize("spec", [{"expression": BAD}, {"score": 0}, {"examples": [DOES_NOT]}])
def test_a_bad_rule_whose_spec_stays_is_let_through(
    spec: dict[str, Any], metadata: dict[str, Any]
) -> None:
    old = with_metadata(fraudrule(**spec), finalizers=["example.com/kept"], resourceVersion="7")
    assert review(with_metadata(fraudrule(**spec), **metadata), old, COMPILER) is None


def test_a_status_that_changes_is_let_through() -> None:
    old = fraudrule(expression=BAD)
    assert review({**old, "status": {"applied": "0/1"}}, old, COMPILER) is None


def test_a_rule_is_warned_of_in_the_words_of_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = fraudrule(expression="transaction.country != 'US' && transaction.ip != 'x'")
    said = review(value, None, COMPILER)
    assert isinstance(said, CompiledRule)
    lines = "".join(f"  warning: {warning}\n" for warning in said.warnings)
    assert f"ok (no examples)\n{lines}" == checked(value, tmp_path, capsys)


def test_every_field_that_may_be_missing_is_warned_of() -> None:
    value = fraudrule(expression="transaction.country != 'US' && transaction.ip != 'x'")
    said = review(value, None, COMPILER)
    assert isinstance(said, CompiledRule)
    assert [warning.split(" ")[0] for warning in said.warnings[:-1]] == ["`country`", "`ip`"]


def test_a_rule_that_guards_its_fields_is_not_warned_of() -> None:
    expression = "has(transaction.country) && transaction.country != 'US'"
    said = review(fraudrule(expression=expression), None, COMPILER)
    assert isinstance(said, CompiledRule)
    assert "may be missing" not in str(said.warnings)
