"""What `fraud rules check` says: the line, what is wrong, and what to write instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from services.cli import main
from tests.rules.manifests import HEAD, manifest, payment

if TYPE_CHECKING:
    from pathlib import Path

EXPRESSIONS = [
    ("transaction.amuont > 1.0", "no field `amuont`", "did you mean `transaction.amount`?"),
    ("transaction.zzz == 1", "no field `zzz`", "it has source, target"),
    ("transaction.amount >= 900", "`>=` does not take (double, int)", "write 900.0"),
    ("900 <= transaction.amount", "`<=` does not take (int, double)", "write 900.0"),
    ("transaction.amount in [1, 2]", "`in` does not take (double, list(int))", "[1.0, 2.0]"),
    ("transaction.amount > '5'", "(double, string)", "leave the quotes out"),
    ("transaction.source == 5", "(string, int)", "put the value in quotes"),
    ("transaction.country == null", "(string, null_type)", "has(transaction.…)"),
    ("amount > 1.0", "`amount` is not known by itself", "write `transaction.amount`"),
    ("transction.amount > 1.0", "`transction` is not known", "did you mean `transaction`?"),
    ("transaction.amount = 1.0", "Syntax error", "compare with `==`"),
    ("true and false", "Syntax error", "write `&&` for `and`"),
    ("true or false", "Syntax error", "write `||` for `or`"),
    ("true & false", "Syntax error", "write `&&`"),
    ("TRUE", "`TRUE` is not known", "write `true`"),
    ("transaction.source == 'a", "Syntax error", "a string is not closed"),
    ("true &&", "Syntax error", "the expression breaks off"),
    ("9223372036854775808 > 1", "invalid int literal", "as in `1e19`"),
    ("transaction.amount", "gives a double", "as in `transaction.amount >= 900.0`"),
    ("transaction.source.lower() == 'a'", "`lower` is not known", "for both cases"),
    ("transaction.source.matches('(')", "missing ): (", "RE2"),
    ("transaction.source.matches(transaction.target)", "as a literal", "in quotes"),
    (f"transaction.source.matches('{'a' * 300}')", "a pattern of 300 characters", ""),
    ("transaction.source.matches('(a{1000}){1000}')", "repetition", "RE2"),
    ("[1].map(x, 'a' + 'b').size() > 0", "`+` joins strings or lists inside a loop", "outside"),
    ("[[1]].exists(x, x.exists(y, y > 0))", "other than a list written out", "in place"),
    (f"[{'1,' * 40}1].all(x, [{'1,' * 40}1].all(y, x == y))", "loops of 1681 steps", "shorter"),
    ("(" * 500 + "true" + ")" * 500, "recursion limit", "as several rules"),
    ("!" * 0 + "1" + "+1" * 900 + " == 1", "recursion depth", "as several rules"),
]


def check(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the command on a file with a text."""
    (folder / "rule.yaml").write_text(text, encoding="utf-8")
    code = main(["rules", "check", str(folder / "rule.yaml")])
    return code, capsys.readouterr().out


@pytest.mark.parametrize(("expression", "said", "hint"), EXPRESSIONS, ids=lambda v: v[:40])
def test_an_expression_is_refused_with_its_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, said: str, hint: str
) -> None:
    code, out = check(tmp_path, manifest(expression=expression), capsys)
    assert code == 1
    assert "rule.yaml:4: rule: spec.expression: " in out
    assert said in out
    assert hint in out


def test_the_place_in_a_block_of_text_is_the_files_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        f"{HEAD}metadata: {{name: rule}}\nspec:\n  expression: |\n"
        "    transaction.amount > 1.0 &&\n      transaction.curency == 'USD'\n"
    )
    _, out = check(tmp_path, text, capsys)
    assert "rule.yaml:7: rule: spec.expression" in out
    assert "    transaction.curency == 'USD'\n               ^" in out


DOCUMENTS = [
    ("kind: Pod\n", "rule.yaml:1: kind: found 'Pod', expected FraudRule"),
    ("kind: FraudRule\n", "apiVersion: found None, expected frauddetection.io/v1alpha1"),
    ("- a\n", "kind: found 'list', expected FraudRule"),
    (f"{HEAD}metadata: {{}}\nspec: {{expression: 'true'}}\n", ":3: metadata.name: is missing"),
    (f"{HEAD}metadata: {{name: x}}\n", ":1: x: spec: is missing"),
    (
        f"{HEAD}metadata: {{name: x, labels: {{team: 42}}}}\nspec: {{expression: 'true'}}\n",
        "metadata.labels.team: found 42, expected text\n  put the value in quotes",
    ),
    (
        f"{HEAD}metadata: {{name: x}}\nspec:\n  expression: > transaction.amount > 900.0\n",
        "or begins with a quote or one of ! & * [ { > | % @ `",
    ),
    (manifest(name="Rule"), "rule.yaml:3: Rule: metadata.name: is no Kubernetes name"),
    (manifest(score=5000), "spec.score: found 5000; expected `int` <= 1000"),
    (manifest(score=0), "spec.score: found 0; expected `int` >= 1"),
    (manifest(mode="Enforced"), "spec.mode: found 'Enforced'"),
    (manifest(reasonCode="card testing"), "spec.reasonCode: is no reason code"),
    (manifest(expresion="true"), "there is no field `expresion`\n  did you mean `expression`?"),
    (manifest(condition="true"), "there is no field `condition`\n  did you mean `expression`?"),
    (manifest(aggregate=[]), "spec.aggregate: there is no field `aggregate`\n  did you mean `agg"),
    (manifest(description=5), "spec.description: Expected `str`, got `int`\n  put the value in q"),
    (manifest(expression="true || " * 600 + "true"), "expected 4096 at most"),
    (manifest(expression="x" * 1_000_000), "expected 4096 at most"),
    (f"{manifest()}kind: FraudRule\n", "rule.yaml:5: not YAML: the key `kind` is given twice"),
    ("a: [\n", "not YAML"),
    ("a: &x [*x]\n", "rule.yaml:1: not YAML: an alias (*name) stands within what it names"),
    ("a: \x00\n", "not YAML"),
    (f"{'[' * 3000}", "not YAML"),
    (f"{manifest()}---\n{manifest()}", "`rule` is defined at"),
    ("", "no rules found"),
]


@pytest.mark.parametrize(("text", "said"), DOCUMENTS, ids=[said[:50] for _, said in DOCUMENTS])
def test_a_document_is_refused_with_the_field_it_is_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    code, out = check(tmp_path, text, capsys)
    assert code == 1
    assert said in out


def example(expect: str, **transaction: object) -> dict[str, object]:
    return {"name": "it", "transaction": payment(**transaction), "expect": expect}


@pytest.mark.parametrize(
    ("expression", "shown", "said"),
    [
        ("transaction.amount > 1.0", example("NoMatch"), 'example "it" gives Match, and NoMatch'),
        ("transaction.amount < 1.0", example("Match"), 'example "it" gives NoMatch, and Match'),
        ("true", example("Match", amount=-1), "is no transaction: out_of_range"),
        ("true", example("Match", currency="usd"), "is no transaction: unknown_currency"),
        ("1 / (size(transaction.source) - 1) > 0", example("Match"), "divide by zero"),
    ],
)
def test_a_rule_whose_example_fails_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    expression: str,
    shown: dict[str, object],
    said: str,
) -> None:
    code, out = check(tmp_path, manifest(expression=expression, examples=[shown]), capsys)
    assert code == 1
    assert "spec.examples[0]" in out
    assert said in out


def test_examples_happen_at_noon_on_a_thursday(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = "transaction.timestamp.getHours() == 12 && transaction.timestamp.getDayOfWeek() == 4"
    code, _ = check(tmp_path, manifest(expression=clock, examples=[example("Match")]), capsys)
    assert code == 0


def test_good_rules_are_counted_with_their_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = check(tmp_path, manifest(examples=[example("Match")]), capsys)
    assert (code, out) == (0, f"{tmp_path}/rule.yaml:1: rule: ok (1 example)\n")


@pytest.mark.parametrize(
    ("expression", "warned"),
    [
        ("transaction.country != 'US'", True),
        ("transaction.country < 'US'", True),
        ("transaction.country == ''", True),
        ("has(transaction.country) || transaction.country != 'US'", True),
        ("transaction.country == 'US'", False),
        ("transaction.country in ['US', 'DE']", False),
        ("has(transaction.country) && transaction.country != 'US'", False),
        ("transaction.country != 'US' && has(transaction.country)", False),
        ("!has(transaction.country) || transaction.country != 'US'", False),
        ("has(transaction.country) ? transaction.country != 'US' : false", False),
        ("transaction.source != 'US' && has(transaction.ip)", False),
        ("transaction.timestamp.getHours() < 5 && transaction.id != 'x'", False),
    ],
)
def test_reading_a_field_that_may_be_missing_is_a_warning(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    expression: str,
    warned: bool,
) -> None:
    code, out = check(tmp_path, manifest(expression=expression), capsys)
    assert code == 0
    assert ("warning: `country` may be missing" in out) == warned


def test_machines_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{manifest('good')}---\n{manifest('bad', 'transaction.amount >= 900')}"
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    assert main(["rules", "check", str(tmp_path), "--output", "json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["rule"], good["ok"]) == ("good", True)
    assert (bad["rule"], bad["ok"], bad["line"]) == ("bad", False, 6)
    (problem,) = bad["problems"]
    assert (problem["line"], problem["hint"]) == (9, "write 900.0")
    assert problem["expressionColumn"] == 20


def test_lists_several_documents_and_folders_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = "".join(
        f"- apiVersion: frauddetection.io/v1alpha1\n  kind: FraudRule\n  metadata: {{name: {n}}}\n"
        "  spec: {expression: transaction.amount > 1}\n"
        for n in ("one", "two")
    )
    (tmp_path / "list.yaml").write_text(f"kind: List\nitems:\n{items}", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yml").write_text(f"---\n{manifest('three')}---\n", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "no.yaml").write_text("a: [", encoding="utf-8")
    assert main(["rules", "check", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "list.yaml:6: one: spec.expression" in out
    assert "list.yaml:10: two: spec.expression" in out
    assert "more.yml:2: three: ok" in out
    assert "hidden" not in out


WINDOWED = manifest(
    expression="payments > 3",
    aggregates=[{"name": "payments", "function": "Count", "groupBy": "target", "window": "1m"}],
)


@pytest.mark.parametrize(
    ("keyed_by", "code", "said"),
    [
        ((), 1, "group by source, or key the topic by target and set KEYED_BY=target"),
        (("--keyed-by=source",), 1, "found target, and the input topic is keyed by source"),
        (("--keyed-by", "target"), 0, "rule: ok (no examples)"),
        (("--keyed-by=none",), 1, "the input topic is declared to have no keys"),
    ],
)
def test_windows_group_by_what_the_topic_is_keyed_by(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keyed_by: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    (tmp_path / "rule.yaml").write_text(WINDOWED, encoding="utf-8")
    assert main(["rules", "check", str(tmp_path), *keyed_by]) == code
    assert said in capsys.readouterr().out


def test_a_key_that_the_schema_does_not_have_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rule.yaml").write_text(WINDOWED, encoding="utf-8")
    assert main(["rules", "check", str(tmp_path), "--keyed-by=sorce"]) == 2
    said = "--keyed-by: the schema has no field 'sorce'; name one of source, target"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (manifest(expression="transaction.n > 3"), 0, "rule: ok (no examples)"),
        (
            manifest(
                expression="payments > transaction.n",
                aggregates=[
                    {"name": "payments", "function": "Count", "groupBy": "n", "window": "1m"}
                ],
            ),
            1,
            "name the field in KEYED_BY",
        ),
    ],
)
def test_a_schema_without_the_default_key_takes_rules_without_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, said: str
) -> None:
    schema = tmp_path / "schema.txt"
    schema.write_text("fields:\n- {name: n, type: int, required: true}\n", encoding="utf-8")
    (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
    assert main(["rules", "check", str(tmp_path), "--schema", str(schema)]) == code
    assert said in capsys.readouterr().out


def test_a_path_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check", "/nowhere"]) == 2
    assert "/nowhere does not exist; name a file or a folder" in capsys.readouterr().err


def test_a_field_that_is_null_is_as_good_as_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The API server drops it, so the same file means the same in a cluster."""
    assert check(tmp_path, manifest(mode=None, score=None, examples=None), capsys)[0] == 0
