"""What is legal in a rule and likely a mistake is warned of, and what is meant is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.cli import main
from services.rules import Compiler, RuleError, check
from services.transactions import load_schema
from tests.rules.manifests import HEAD, manifest, payment
from tests.support.rules import COMPILER, rule, write

if TYPE_CHECKING:
    from pathlib import Path

OVER = {"groupBy": "source", "window": "1h"}
AGGREGATES: dict[str, dict[str, Any]] = {
    "n": {"name": "n", "function": "Count", **OVER},
    "top": {"name": "top", "function": "Max", "of": "amount", **OVER},
    "low": {"name": "low", "function": "Min", "of": "amount", **OVER},
    "usual": {"name": "usual", "function": "Avg", "of": "amount", **OVER},
    "spent": {"name": "spent", "function": "Sum", "of": "amount", **OVER},
}
MATCH = {"name": "m", "transaction": payment(), "expect": "Match"}
NO_EXAMPLE = "no example shows what the rule matches"


def warned(expression: str, *names: str, where: str = "", compiler: Compiler = COMPILER) -> str:
    """The warnings of a rule, without the one that it has no examples."""
    aggregates = [AGGREGATES[name] | ({"where": where} if where else {}) for name in names]
    compiled = compiler.compile(rule("r", expression, aggregates=aggregates))
    return "\n".join(w for w in compiled.warnings if not w.startswith(NO_EXAMPLE))


MISSING_MATTERS = [
    "transaction.country != 'US'",
    "transaction.country < 'US'",
    "transaction.country == ''",
    "transaction.amount > 9.0 && transaction.country != 'US'",
    "transaction.amount > 9.0 || transaction.country != 'US'",
    "has(transaction.country) || transaction.country != 'US'",
    "!(transaction.country in ['US', 'CA'])",
    "!['US', 'CA'].exists(x, x == transaction.country)",
    "['US', 'CA'].all(x, x != transaction.country)",
    "!transaction.country.startsWith('U')",
    "!(transaction.country == 'US' && transaction.amount > 5.0)",
    "size(transaction.country) < 2",
    "transaction.country != transaction.source",
    "transaction.country == transaction.channel",
    "transaction.country == 'US' ? false : transaction.amount > 5.0",
]
MISSING_DOES_NOT_MATTER = [
    "transaction.country == 'US'",
    "transaction.country in ['US', 'DE']",
    "'US' == transaction.country || transaction.amount > 900.0",
    "transaction.country.startsWith('U')",
    "transaction.merchant.contains('casino') && transaction.amount > 100.0",
    "transaction.ip.matches('^10[.]')",
    "transaction.device.endsWith('x') || transaction.channel == 'web'",
    "size(transaction.merchant) > 50",
    "['US', 'CA'].exists(x, x == transaction.country)",
    "transaction.country > 'A'",
    "has(transaction.country) && transaction.country != 'US'",
    "!has(transaction.country) || transaction.country != 'US'",
    "has(transaction.country) ? transaction.country != 'US' : false",
    "(has(transaction.country) ? transaction.country : 'US') != 'US'",
    "transaction.country != 'US' && transaction.country in ['DE', 'FR']",
    "transaction.country == 'US' && !(transaction.country == 'DE')",
    "transaction.id != 'x' && transaction.timestamp.getHours() < 6",
]


@pytest.mark.parametrize("expression", MISSING_MATTERS)
def test_a_missing_field_that_makes_the_condition_true_is_warned_of(expression: str) -> None:
    assert "`country` may be missing, and then reads as" in warned(expression)


@pytest.mark.parametrize("expression", MISSING_DOES_NOT_MATTER)
def test_a_missing_field_that_does_not_is_not(expression: str) -> None:
    assert warned(expression) == ""


def test_numbers_that_may_be_missing_read_as_zero(tmp_path: Path) -> None:
    text = (
        "fields:\n- {name: amount, type: double, required: true, minimum: 1}\n"
        "- {name: fee, type: double}\n- {name: tries, type: int}\n- {name: known, type: bool}\n"
    )
    compiler = Compiler(load_schema(write(tmp_path, "schema.yaml", text)))
    for matters in ("fee < 5.0", "fee < transaction.amount", "tries < 3", "known == false"):
        assert "may be missing" in warned(f"transaction.{matters}", compiler=compiler)
    for does_not in ("fee > 5.0", "fee > transaction.amount", "tries >= 3", "known"):
        assert warned(f"transaction.{does_not}", compiler=compiler) == ""


IMPOSSIBLE = [
    ("true", "the condition is true for every transaction"),
    ("1 > 2", "the condition is false for every transaction"),
    ("transaction.country in ['USA']", '"USA"` is never true: it has 2 characters at most'),
    ("transaction.country == 'U'", "is never true: it has 2 characters at least"),
    ("transaction.country in ['US', 'DEU']", '"DEU"` is never true'),
    ("transaction.currency == 'EURO'", "is never true: a currency is an ISO 4217 code"),
    ("'usd' == transaction.currency", "is never true: a currency is an ISO 4217 code"),
    ("transaction.currency != 'usd'", "is always true"),
    ("transaction.amount < 0.0", "is never true: it is more than 0"),
    ("0.0 >= transaction.amount", "is never true: it is more than 0"),
    ("transaction.amount == -5.0", "is never true: it is more than 0"),
    ("transaction.amount > 1e13", "is never true: it is at most 1000000000000"),
    ("transaction.source == ''", "is never true: it has 1 characters at least"),
]


@pytest.mark.parametrize(("expression", "said"), IMPOSSIBLE)
def test_a_comparison_that_the_schema_rules_out_is_warned_of(expression: str, said: str) -> None:
    assert said in warned(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "transaction.amount > 0.0",
        "transaction.amount >= 1e12",
        "transaction.country in ['US', 'DE']",
        "transaction.currency == 'EUR'",
        "transaction.amount * 2.0 < 5.0",
    ],
)
def test_a_comparison_that_may_be_true_is_not(expression: str) -> None:
    assert warned(expression) == ""


def test_values_outside_an_enum_are_warned_of(tmp_path: Path) -> None:
    text = (
        "fields:\n- {name: kind, type: string, required: true, enum: [card, transfer]}\n"
        "- {name: tries, type: int, minimum: 1, maximum: 9}\n"
    )
    compiler = Compiler(load_schema(write(tmp_path, "schema.yaml", text)))
    said = warned("transaction.kind in ['card', 'Card']", compiler=compiler)
    assert said == (
        '`transaction.kind == "Card"` is never true: it is one of card, transfer; write another '
        "value"
    )
    assert "is never true: it is at most 9" in warned("transaction.tries > 9", compiler=compiler)
    assert warned("transaction.kind == 'card' && transaction.tries > 8", compiler=compiler) == ""


INCLUDED = [
    ("transaction.amount > top", "top"),
    ("top < transaction.amount", "top"),
    ("transaction.amount > 2.0 * top", "top"),
    ("transaction.amount >= 2.0 * top", "top"),
    ("transaction.amount < low", "low"),
    ("transaction.amount > 5.0 * usual", "usual"),
    ("transaction.amount > spent", "spent"),
    ("spent - transaction.amount > 100.0", "spent"),
]


@pytest.mark.parametrize(("expression", "name"), INCLUDED)
def test_comparing_with_what_contains_the_transaction_is_warned_of(
    expression: str, name: str
) -> None:
    own = f"the window of `{name}` contains this transaction's own amount"
    assert own in warned(expression, name)
    where = "transaction.channel == 'web'"
    assert own in warned(f"{where} && n > 1 && {expression}", name, "n", where=where)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("transaction.amount >= top && n > 1", "top"),
        ("transaction.amount <= low && n > 1", "low"),
        ("spent > 3000.0 && n > 1", "spent"),
        ("transaction.amount < 5.0 && top > 900.0 && n > 1", "top"),
        ("top > 10.0 * low && n > 1", "top"),
    ],
)
def test_what_means_something_with_the_transaction_in_it_is_not(expression: str, name: str) -> None:
    names = {name, "n", "low"} if "low" in expression else {name, "n"}
    assert warned(expression, *names) == ""


def test_a_where_that_leaves_the_transaction_out_is_the_way_to_compare_with_earlier_ones() -> None:
    expression = "transaction.amount >= 100.0 && n > 0 && transaction.amount > 5.0 * usual"
    assert warned(expression, "usual", "n", where="transaction.amount < 100.0") == ""


def test_an_aggregate_that_may_have_no_value_is_warned_of() -> None:
    where = "transaction.amount < 100.0"
    said = warned("transaction.amount > 100.0 && low < 2.0", "low", where=where)
    assert "`low` has no value where nothing in its window passes `where`" in said
    assert warned("n > 0 && low < 2.0", "low", "n", where=where) == ""
    # The transaction at hand passes `where` wherever the rule matches.
    assert "has no value" not in warned(f"{where} && low < 2.0", "low", where=where)


def test_an_example_that_needs_a_missing_value_is_one_that_does_not_match() -> None:
    low = AGGREGATES["low"] | {"where": "transaction.amount < 100.0"}
    shown = {**MATCH, "expect": "NoMatch"}
    COMPILER.compile(rule("r", "low < 2.0", aggregates=[low], examples=[shown]))
    with pytest.raises(RuleError, match="has no value"):
        COMPILER.compile(rule("r", "low < 2.0", aggregates=[low], examples=[MATCH]))


def test_a_rule_without_an_example_that_matches_is_warned_of() -> None:
    spec: dict[str, Any] = {"expression": "transaction.amount > 1.0"}
    assert COMPILER.compile(rule("r", **spec, examples=[MATCH])).warnings == ()
    other = {"name": "n", "transaction": payment(amount=0.5), "expect": "NoMatch"}
    for examples in ([], [other]):
        [said] = COMPILER.compile(rule("r", **spec, examples=examples)).warnings
        assert said == f"{NO_EXAMPLE}: add one with `expect: Match`"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("cuntry", "country"), ("Country", "country"), ("merchnt", "merchant")]
)
def test_a_misspelt_field_of_an_example_is_a_problem(wrong: str, meant: str) -> None:
    shown = {**MATCH, "transaction": payment(**{wrong: "US"})}
    given = {**MATCH, "given": [{"transaction": payment(**{wrong: "US"})}]}
    for example, field in ((shown, "transaction"), (given, "given[0].transaction")):
        with pytest.raises(RuleError) as rejected:
            COMPILER.compile(rule("r", examples=[example]))
        [problem] = rejected.value.problems
        assert problem.field == f"spec.examples[0].{field}.{wrong}"
        assert f"did you mean `{meant}`?" in problem.hint


def test_a_field_that_no_rule_reads_is_left_alone() -> None:
    extra = payment(loyalty_level=5, country="US", country_code="US")
    others = payment(deviceId="d", merchant_name="m", ipCountry="US", channelType="web")
    for transaction in (extra, others):
        COMPILER.compile(rule("r", examples=[{**MATCH, "transaction": transaction}]))


OTHERS = {
    "kustomization.yaml": "resources:\n- rule.yaml\n",
    "kustomization2.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
    "map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n",
    "maps.yaml": "kind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap}\n",
    "schema.yaml": "fields:\n- {name: source, type: string, required: true}\n",
    "patch.yaml": "- {op: add, path: /spec/mode, value: Shadow}\n",
    "values.yaml": "detector: {replicas: 3}\n",
    "workflow.yaml": "on: push\njobs: {}\n",
    "ports.yaml": "1: a\n",
    "template.yaml": "Ref: !Ref x\n",
    "twice.yaml": "a: 1\na: 2\n",
}


def test_other_yaml_beside_the_rules_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in OTHERS.items():
        write(tmp_path, name, text)
    write(tmp_path, "rule.yaml", manifest())
    assert main(["rules", "check", str(tmp_path)]) == 0
    assert [r.name for r in check([tmp_path], COMPILER)] == ["rule"]
    capsys.readouterr()
    for name in OTHERS:  # who names a file means its rules
        assert main(["rules", "check", str(tmp_path / name)]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "kind: fraudrule\napiVersion: frauddetection.io/v1alpha1\n",
        "kind: FraudRules\nmetadata: {name: x}\nspec: {}\n",
        "kind: Frudrule\nspec: {}\n",
        "metadata: {name: x}\nspec: {expression: 'true'}\n",
        "spec: {expression: 'true'}\n",
        f"{HEAD.replace('FraudRule', 'Rule')}spec: {{}}\n",
        "a: [\n",
    ],
)
def test_what_was_to_be_a_rule_is_still_a_problem(tmp_path: Path, text: str) -> None:
    write(tmp_path, "rule.yaml", manifest())
    write(tmp_path, "wrong.yaml", text)
    assert main(["rules", "check", str(tmp_path)]) == 1
