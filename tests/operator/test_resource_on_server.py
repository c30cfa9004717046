"""The resource as a real API server takes it, refuses it and shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.rules import Compiler, check, read_manifests
from services.transactions import load_schema
from tests.support.manifests import fraud_rule
from tools.shipped.validations import VALIDATIONS

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

CRD = "fraudrules.frauddetection.io"
RULES = Path("k8s/rules")
MINIMAL = {"expression": "transaction.amount > 0.0"}
EXAMPLE = {"name": "some example", "transaction": {"source": "alice"}, "expect": "Match"}
AGGREGATE = {"name": "payments", "function": "Count", "groupBy": "source", "window": "1m"}
GIVEN = {"transaction": {"source": "alice", "target": "bob", "amount": 5.0, "currency": "USD"}}
SCORE_OF_ALLOW, REASON_CODE_OF_NAME, FIELD_OF_COUNT, NO_FIELD, LONG_WINDOW = VALIDATIONS
LONG_NAME = "a" * 65


def rule(name: str = "some-rule", **spec: Any) -> str:
    """A rule as JSON; a field that is None is left out."""
    return json.dumps(fraud_rule(name, **{**MINIMAL, **spec}))


def example(**fields: Any) -> dict[str, Any]:
    """A rule's spec with one example."""
    return {"examples": [{k: v for k, v in {**EXAMPLE, **fields}.items() if v is not None}]}


def aggregate(**fields: Any) -> dict[str, Any]:
    """A rule's spec with one aggregate; a field that is None is left out."""
    return {"aggregates": [{k: v for k, v in {**AGGREGATE, **fields}.items() if v is not None}]}


def given(**fields: Any) -> dict[str, Any]:
    """A rule's spec with one aggregate and an example that is given something."""
    before = [{k: v for k, v in {**GIVEN, **fields}.items() if v is not None}]
    return {**aggregate(), **example(given=before, transaction=GIVEN["transaction"])}


class Rules:
    """A namespace of FraudRules."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self._here = ("--namespace", namespace)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl here."""
        return self.server.kubectl(*arguments, *self._here, stdin=stdin)

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says here of something that must fail."""
        return self.server.kubectl_fails(*arguments, *self._here, stdin=stdin)

    def rejection(self, text: str) -> str:
        """What is said of a rule that must not be taken."""
        return self.fails("apply", "-f", "-", stdin=text)

    def stored(self, name: str = "some-rule") -> dict[str, Any]:
        """A rule as the server has it."""
        stored: dict[str, Any] = json.loads(self("get", "fraudrule", name, "-o", "json"))
        return stored


@pytest.fixture
def rules(api_server: ApiServer, namespace: str) -> Rules:
    """Rules of this test alone."""
    return Rules(api_server, namespace)


@pytest.mark.usefixtures("namespace")
def test_the_resource_is_established(api_server: ApiServer) -> None:
    crd = json.loads(api_server.kubectl("get", "customresourcedefinition", CRD, "-o", "json"))
    conditions = {each["type"]: each["status"] for each in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_the_rules_of_the_repository_are_taken(rules: Rules) -> None:
    dry = rules("apply", "--dry-run=server", "-f", str(RULES))
    assert "fraudrule.frauddetection.io/high-amount created (server dry run)" in dry
    assert "high-amount created" in rules("apply", "-f", str(RULES))


def test_what_comes_back_is_what_the_engine_was_given(rules: Rules, tmp_path: Path) -> None:
    """Defaults, and numbers that JSON shortens, leave a rule and its examples as they were."""
    rules("apply", "-f", str(RULES))
    file = tmp_path / "rules.yaml"
    file.write_text(rules("get", "fraudrules", "-o", "yaml"), encoding="utf-8")
    reports = check([file], Compiler(load_schema(None)))
    assert [problem.text() for report in reports for problem in report.problems] == []
    given = {m.name: m.rule for f in RULES.glob("*.yaml") for m in read_manifests(f)}
    assert {r.name: r.compiled.rule for r in reports if r.compiled} == given


def test_defaults_appear(rules: Rules) -> None:
    rules("apply", "-f", "-", stdin=rule())
    defaults = {"mode": "Enforce", "action": "Flag", "score": 100, "severity": "Medium"}
    assert rules.stored()["spec"] == {**MINIMAL, **defaults}


def test_lists_are_stored_as_they_were_applied(rules: Rules) -> None:
    lists = given()
    rules("apply", "-f", "-", stdin=rule(**lists))
    assert {name: rules.stored()["spec"][name] for name in lists} == lists


def test_the_columns_are_shown(rules: Rules) -> None:
    rules("apply", "-f", "-", stdin=rule(mode="Shadow", severity="High", score=40))
    head, row = rules("get", "fraudrules").splitlines()
    assert head.split() == ["NAME", "MODE", "SEVERITY", "READY", "APPLIED", "MATCHES", "AGE"]
    assert row.split()[:3] == ["some-rule", "Shadow", "High"]
    head, row = rules("get", "fraudrules", "-o", "wide").splitlines()
    assert head.split()[7:] == ["REASON", "ACTION", "SCORE"]
    assert row.split()[-2:] == ["Flag", "40"]


@pytest.mark.parametrize("name", ["fr", "fraudrule", "fraudrules", "fraud-detection"])
def test_the_short_name_and_the_category_are_known(rules: Rules, name: str) -> None:
    rules("apply", "-f", "-", stdin=rule())
    assert "some-rule" in rules("get", name, "-o", "name")


@pytest.mark.parametrize(
    ("field", "description"),
    [
        ("spec.aggregates.name", "Name of the aggregate in the expression."),
        ("spec.examples.transaction", "Transaction as a producer writes it."),
        ("status.activeGeneration", "Generation of spec that is in force, if any."),
    ],
)
def test_kubectl_explains_a_field(rules: Rules, field: str, description: str) -> None:
    assert description in rules("explain", f"fraudrule.{field}")


def test_a_status_in_apply_is_dropped(rules: Rules) -> None:
    document = json.loads(rule()) | {"status": {"applied": "3/3"}}
    rules("apply", "-f", "-", stdin=json.dumps(document))
    assert "status" not in rules.stored()


def test_a_status_is_written_apart_and_shown(rules: Rules) -> None:
    rules("apply", "-f", "-", stdin=rule())
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "InvalidExpression",
        "message": "Correct it.",
        "lastTransitionTime": "2026-01-01T12:00:00Z",
    }
    status = {"observedGeneration": 1, "applied": "0/3", "warnings": [], "conditions": [ready]}
    rules(*writing(status))
    stored = rules.stored()
    assert stored["status"] == status
    assert stored["metadata"]["generation"] == 1
    row = rules("get", "fraudrules", "-o", "wide").splitlines()[1].split()
    assert row[3:5] == ["False", "0/3"]
    assert "InvalidExpression" in row


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"applied": "all"}, 'status.applied: Invalid value: "all"'),
        ({"applied": f"{'1' * 30}/30"}, "status.applied: Too long: may not be more than 32"),
        ({"warnings": ["x"] * 33}, "status.warnings: Too many: 33: must have at most 32 items"),
        ({"warnings": ["x" * 1025]}, "status.warnings[0]: Too long: may not be more than 1024"),
        ({"observedGeneration": -1}, "status.observedGeneration: Invalid value: -1"),
        ({"conditions": [{"type": "Ready"}]}, "status.conditions[0].lastTransitionTime: Required"),
    ],
)
def test_a_bad_status_is_refused(rules: Rules, status: dict[str, Any], said: str) -> None:
    rules("apply", "-f", "-", stdin=rule())
    assert said in rules.fails(*writing(status))


def writing(status: dict[str, Any]) -> tuple[str, ...]:
    """Write a rule's status, as the operator does: kubectl's arguments."""
    patch = json.dumps({"status": status})
    return ("patch", "fraudrule", "some-rule", "--subresource=status", "--type=merge", "-p", patch)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"expression": None}, "spec.expression: Required value"),
        ({"expression": ""}, "spec.expression in body should be at least 1 chars long"),
        ({"expression": "x" * 4097}, "spec.expression: Too long: may not be more than 4096"),
        ({"expression": 1}, "spec.expression in body must be of type string"),
        ({"description": "x" * 1025}, "spec.description: Too long: may not be more than 1024"),
        ({"mode": "enforce"}, 'spec.mode: Unsupported value: "enforce"'),
        ({"mode": "Off"}, 'supported values: "Enforce", "Shadow", "Disabled"'),
        ({"action": "Block"}, 'spec.action: Unsupported value: "Block"'),
        ({"severity": "Low!"}, 'supported values: "Low", "Medium", "High", "Critical"'),
        ({"score": 0}, "spec.score in body should be greater than or equal to 1"),
        ({"score": 1001}, "spec.score in body should be less than or equal to 1000"),
        ({"score": 1.5}, "spec.score in body must be of type integer"),
        ({"reasonCode": "card testing"}, "spec.reasonCode in body should match"),
        ({"reasonCode": "X" * 65}, "spec.reasonCode: Too long: may not be more than 64"),
        ({"scores": 1}, 'unknown field "spec.scores"'),
        (
            {"examples": [{**EXAMPLE, "name": str(i)} for i in range(33)]},
            "spec.examples: Too many: 33: must have at most 32 items",
        ),
        (example(name=None), "spec.examples[0].name: Required value"),
        (example(name=""), "spec.examples[0].name in body should be at least 1 chars long"),
        (example(name="x" * 101), "spec.examples[0].name: Too long: may not be more than 100"),
        (example(transaction=None), "spec.examples[0].transaction: Required value"),
        (example(transaction="x"), "spec.examples[0].transaction in body must be of type object"),
        (
            example(transaction={f"f{i}": i for i in range(65)}),
            "spec.examples[0].transaction: Too many: 65: must have at most 64 items",
        ),
        (example(expect=None), "spec.examples[0].expect: Required value"),
        (example(expect="Maybe"), 'spec.examples[0].expect: Unsupported value: "Maybe"'),
        (example(expected="Match"), 'unknown field "spec.examples[0].expected"'),
        (
            {"aggregates": [{**AGGREGATE, "name": f"a{i}"} for i in range(9)]},
            "spec.aggregates: Too many: 9: must have at most 8 items",
        ),
        (aggregate(name=None), "spec.aggregates[0].name: Required value"),
        (aggregate(name="Payments"), "spec.aggregates[0].name in body should match"),
        (aggregate(name="payments\n"), "spec.aggregates[0].name in body should match"),
        (aggregate(name="a" * 64), "spec.aggregates[0].name: Too long: may not be more than 63"),
        (aggregate(function=None), "spec.aggregates[0].function: Required value"),
        (aggregate(function="count"), 'spec.aggregates[0].function: Unsupported value: "count"'),
        (aggregate(groupBy=None), "spec.aggregates[0].groupBy: Required value"),
        (aggregate(groupBy=""), "spec.aggregates[0].groupBy in body should be at least 1 chars"),
        (aggregate(window=None), "spec.aggregates[0].window: Required value"),
        (aggregate(window="1min"), "spec.aggregates[0].window in body should match"),
        (aggregate(window="0s"), "spec.aggregates[0].window in body should match"),
        (aggregate(window="1m\n"), "spec.aggregates[0].window in body should match"),
        (aggregate(window="10000s"), "spec.aggregates[0].window: Too long: may not be more than 5"),
        (aggregate(where="x" * 1025), "spec.aggregates[0].where: Too long: may not be more than"),
        (aggregate(filter="true"), 'unknown field "spec.aggregates[0].filter"'),
        (given(transaction=None), "spec.examples[0].given[0].transaction: Required value"),
        (given(repeat=0), "spec.examples[0].given[0].repeat in body should be greater than or"),
        (given(repeat=1001), "spec.examples[0].given[0].repeat in body should be less than or"),
        (given(every="0s"), "spec.examples[0].given[0].every in body should match"),
        (given(after="1s"), 'unknown field "spec.examples[0].given[0].after"'),
        (
            example(given=[GIVEN] * 17),
            "spec.examples[0].given: Too many: 17: must have at most 16 items",
        ),
    ],
)
def test_what_is_out_of_bounds_is_refused_here_and_by_the_engine(
    rules: Rules, tmp_path: Path, spec: dict[str, Any], said: str
) -> None:
    assert said in rules.rejection(rule(**spec))
    assert refused_by_the_engine(rule(**spec), tmp_path)


@pytest.mark.parametrize(
    "spec",
    [
        {"expression": "transaction.amount > 0.0 //".ljust(4096, "x")},
        {"description": "x" * 1024},
        {"score": 1},
        {"score": 1000},
        {"reasonCode": ""},
        {"reasonCode": "X" * 64},
        {"examples": []},
        {"aggregates": []},
        {"aggregates": [{**AGGREGATE, "name": f"a{i}"} for i in range(8)]},
        aggregate(name="a" * 63),
        aggregate(name="aZ_9"),
        aggregate(window="1s"),
        aggregate(window="3600s"),
        aggregate(window="60m"),
        aggregate(window="1h"),
        aggregate(of=""),
        aggregate(where=""),
        aggregate(where="true //".ljust(1024, "x")),
        aggregate(function="CountDistinct", of="target"),
        *(aggregate(function=name, of="amount") for name in ("Sum", "Avg", "Min", "Max")),
        given(repeat=1000, every="86s"),
        given(every="24h"),
        given(repeat=None, every=None),
    ],
)
def test_what_is_just_within_bounds_is_taken_here_and_by_the_engine(
    rules: Rules, tmp_path: Path, spec: dict[str, Any]
) -> None:
    rules("apply", "-f", "-", stdin=rule(**spec))
    assert not refused_by_the_engine(rule(**spec), tmp_path)


def refused_by_the_engine(text: str, folder: Path) -> bool:
    """Whether `fraud rules check` finds something wrong with a rule."""
    return bool(engine_says(text, folder))


def engine_says(text: str, folder: Path) -> list[tuple[str, str]]:
    """What `fraud rules check` finds wrong with a rule: fields and messages."""
    file = folder / "rule.json"
    file.write_text(text, encoding="utf-8")
    (report,) = check([file], Compiler(load_schema(None)))
    return [(problem.field, problem.message) for problem in report.problems]


def test_two_examples_of_one_name_are_refused(rules: Rules) -> None:
    said = rules.rejection(rule(examples=[EXAMPLE, EXAMPLE]))
    assert 'spec.examples[1]: Duplicate value: {"name":"some example"}' in said


def test_two_aggregates_of_one_name_are_refused(rules: Rules) -> None:
    said = rules.rejection(rule(aggregates=[AGGREGATE, AGGREGATE]))
    assert 'spec.aggregates[1]: Duplicate value: {"name":"payments"}' in said


def test_what_is_null_in_an_aggregate_is_not_there_here_nor_for_the_engine(
    rules: Rules, tmp_path: Path
) -> None:
    empty = {**AGGREGATE, "of": None, "where": None}
    before = [{**GIVEN, "repeat": None, "every": None}]
    shown: dict[str, Any] = {**EXAMPLE, "expect": "NoMatch", "given": None}
    both = [shown, {**shown, "name": "other", "given": before}]
    several = [{**each, "transaction": GIVEN["transaction"]} for each in both]
    text = rule(expression="payments > 2", aggregates=[empty], examples=several)
    assert engine_says(text, tmp_path) == []
    rules("apply", "-f", "-", stdin=text)
    spec = rules.stored()["spec"]
    assert spec["aggregates"] == [AGGREGATE]
    assert spec["examples"][1]["given"] == [GIVEN]


def test_a_transaction_is_kept_as_it_is(rules: Rules) -> None:
    transaction = {"amount": 900, "unread": 2.5, "text": "", "yes": True, "no": [], "none": {}}
    rules("apply", "-f", "-", stdin=rule(**example(transaction=transaction)))
    assert rules.stored()["spec"]["examples"][0]["transaction"] == transaction


@pytest.mark.parametrize(
    ("name", "spec", "rejected"),
    [
        ("some-rule", {"action": "Allow", "score": 40}, SCORE_OF_ALLOW),
        ("some-rule", {"action": "Allow", "score": 1000}, SCORE_OF_ALLOW),
        ("3ds-missing", {}, REASON_CODE_OF_NAME),
        ("3ds-missing", {"reasonCode": ""}, REASON_CODE_OF_NAME),
        (LONG_NAME, {}, REASON_CODE_OF_NAME),
        ("some-rule", aggregate(of="amount"), FIELD_OF_COUNT),
        ("some-rule", aggregate(function="Sum"), NO_FIELD),
        ("some-rule", aggregate(function="CountDistinct", of=""), NO_FIELD),
        ("some-rule", aggregate(window="2h"), LONG_WINDOW),
        ("some-rule", aggregate(window="61m"), LONG_WINDOW),
        ("some-rule", aggregate(window="3601s"), LONG_WINDOW),
        ("some-rule", aggregate(window="9999h"), LONG_WINDOW),
    ],
)
def test_what_does_not_fit_together_is_refused_here_and_by_the_engine_in_the_same_words(
    rules: Rules, tmp_path: Path, name: str, spec: dict[str, Any], rejected: Any
) -> None:
    said = rules.rejection(rule(name, **spec))
    field = f"{rejected.node.replace('[]', '[0]')}{rejected.field_path}".lstrip(".")
    assert f"{field}: " in said
    assert rejected.message in said
    assert (field, rejected.message) in engine_says(rule(name, **spec), tmp_path)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("some-rule", {"action": "Allow"}),
        ("some-rule", {"action": "Allow", "score": 100}),
        ("some-rule", {"action": "Flag", "score": 40}),
        ("3ds-missing", {"reasonCode": "NO_3DS"}),
        (LONG_NAME, {"reasonCode": "LONG_NAME"}),
        (LONG_NAME[:64], {}),
        ("a.b-c", {}),
    ],
)
def test_what_fits_together_is_taken(rules: Rules, name: str, spec: dict[str, Any]) -> None:
    assert "created" in rules("apply", "-f", "-", stdin=rule(name, **spec))


def test_an_edit_that_does_not_fit_is_refused_and_the_rule_stays(rules: Rules) -> None:
    rules("apply", "-f", "-", stdin=rule(score=40))
    assert SCORE_OF_ALLOW.message in rules.rejection(rule(score=40, action="Allow"))
    assert rules.stored()["spec"]["action"] == "Flag"


def test_what_is_nested_so_deep_that_no_reader_bears_it_is_refused(rules: Rules) -> None:
    deep = "[" * 3000 + "]" * 3000
    manifest = rule(**example()).replace('"alice"', f'"alice", "unread": {deep}')
    said = rules.fails("apply", "-f", "-", stdin=manifest)
    assert "spec.examples[0].transaction.unread: Too many: " in said
