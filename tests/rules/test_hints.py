"""What people write at first is refused with what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.cli import main
from tests.rules.manifests import HEAD, manifest, payment

if TYPE_CHECKING:
    from pathlib import Path

EXPRESSIONS = {
    "transaction.source in lists.blocked": "there are no lists with names",
    "math.abs(transaction.amount) > 1.0": "`x < 0.0 ? -x : x`",
    "abs(transaction.amount) > 1.0": "`x < 0.0 ? -x : x`",
    'transaction.source.toLowerCase() == "a"': "matches('(?i)",
    "transaction.amount > 1.0 AND transaction.amount < 3.0": "write `&&` for `AND`",
    "transaction.amount > 1.0 OR transaction.amount < 3.0": "write `||` for `OR`",
    "NOT (transaction.amount > 1.0)": "write `!` for `NOT`",
    "NOT transaction.amount > 1.0": "write `!` for `NOT`",
    'transaction.source <> "a"': "write `!=` for `<>`",
    'transaction.source == "a" || "b"': 'write `transaction.source in ["a", "b"]`',
    'transaction.source == "a" && "b"': "each side of `&&` is a separate condition",
    'transaction.source == ("a" || "b")': "each side of `||` is a separate condition",
    "5 < transaction.amount < 10": "write both bounds",
    "5.0 < transaction.amount < 10.0": "write both bounds",
    "transaction.amount between 1.0 and 2.0": "write both bounds",
    "transaction.amount > 10,000.0": "without separators: 10000.0",
    "transaction.amount > 10_000.0": "without separators: 10000.0",
    "transaction.amount > 1.000.000,50": "without separators: 1000000.50",
    "transaction.amount => 1.0": "write `>=`",
    "transaction.amount =< 1.0": "write `<=`",
    "transaction.amount > 1.0;": "leave the semicolon out",
    'transaction.source in ("a", "b")': "write a list",
    'transaction.source like "a%"': "startsWith",
    "transaction.country is null": "`has(transaction.…)`",
    "!transaction.country": "`has(transaction.…)`",
    "if transaction.amount > 1.0": "write the condition alone",
}
AGGREGATES: list[tuple[dict[str, Any], str]] = [
    ({"function": "Median", "of": "amount"}, "are not kept in order: use Avg"),
    ({"function": "P99", "of": "amount"}, "are not kept in order: use Avg"),
    ({"function": "Mean", "of": "amount"}, "write Avg"),
    ({"function": "Distinct", "of": "target"}, "write CountDistinct"),
    ({"function": "Min", "of": "timestamp"}, "is asked with a Count"),
    ({"function": "CountDistinct", "of": "amount"}, "and a `where` as in"),
    ({"function": "CountDistinct", "of": "timestamp"}, "and a `where` as in"),
    ({"groupBy": ["source", "target"]}, "name one field, as in groupBy: source"),
    ({"groupBy": "source, target"}, "found 2 fields, expected one\n  group by source"),
    ({"window": "1d"}, "a window has 1h at most: write 1h"),
    ({"window": "7 days"}, "a window has 1h at most: write 1h"),
    ({"window": "24h"}, "expected 1h at most; write a shorter one\n  write 1h"),
]
SPECS: list[tuple[dict[str, Any], str]] = [
    ({"expression": "x" * 5000}, "found 5000 characters, expected 4096 at most"),
    ({"description": "x" * 2000}, "found 2000 characters, expected 1024 at most"),
    (
        {"examples": [{"name": "", "transaction": {}, "expect": "Match"}]},
        "found '', expected 1 characters at least",
    ),
    (
        {"examples": [{"name": str(i), "transaction": {}, "expect": "Match"} for i in range(33)]},
        "found 33 entries, expected 32 at most",
    ),
    (
        {
            "examples": [
                {"name": "a", "expect": "Match", "transaction": dict.fromkeys(map(str, range(65)))}
            ]
        },
        "found 65 fields, expected 64 at most",
    ),
]
UNQUOTED = {
    "!has(transaction.country)": "stands in quotes, or after `>-`",
    "'a' == transaction.source": "stands in quotes, or after `>-`",
    'transaction.source == "a: b" ? true : false': "stands in quotes, or after `>-`",
    "[1, 2].exists(x, x > 1)": "stands in quotes, or after `>-`",
    "true": "put the value in quotes",
    "[true]": "put the expression in quotes, or after `>-`",
}


def check(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Check a rule that is not accepted and give what is printed."""
    (folder / "rule.yaml").write_text(text, encoding="utf-8")
    assert main(["rules", "check", str(folder)]) == 1
    return capsys.readouterr().out


@pytest.mark.parametrize(("expression", "hint"), EXPRESSIONS.items())
def test_an_expression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, hint: str
) -> None:
    assert hint in check(tmp_path, manifest(expression=expression), capsys)


@pytest.mark.parametrize(("aggregate", "hint"), AGGREGATES, ids=[str(a) for a, _ in AGGREGATES])
def test_an_aggregate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], aggregate: dict[str, Any], hint: str
) -> None:
    whole = {"name": "n", "function": "Count", "groupBy": "source", "window": "1m", **aggregate}
    assert hint in check(tmp_path, manifest(expression="n > 1", aggregates=[whole]), capsys)


@pytest.mark.parametrize(("spec", "hint"), SPECS, ids=[hint for _, hint in SPECS])
def test_a_length_is_given_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: dict[str, Any], hint: str
) -> None:
    assert hint in check(tmp_path, manifest(**spec), capsys)


@pytest.mark.parametrize(("expression", "hint"), UNQUOTED.items())
def test_an_expression_that_yaml_takes_for_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, hint: str
) -> None:
    text = f"{HEAD}metadata: {{name: rule}}\nspec:\n  expression: {expression}\n"
    assert hint in check(tmp_path, text, capsys)


@pytest.mark.parametrize(
    ("field", "written", "hint"),
    [
        ("country", "NO", 'as in country: "NO"; to YAML NO, off and n are a truth'),
        ("channel", "on", "to YAML YES, on and y are a truth, not text"),
        ("device", "5319E7", "put it in quotes: to YAML it is a number"),
        ("currency", "NO", 'in quotes, as in currency: "NO"'),
    ],
)
def test_a_text_of_an_example_that_yaml_takes_for_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], field: str, written: str, hint: str
) -> None:
    example = {"name": "it", "expect": "Match", "transaction": payment(**{field: "HERE"})}
    text = manifest(examples=[example]).replace('"HERE"', written)
    assert hint in check(tmp_path, text, capsys)


def test_aliases_are_accepted(tmp_path: Path) -> None:
    text = (
        f"{HEAD}metadata: {{name: rule}}\nspec:\n  expression: transaction.amount > 1.0\n"
        "  examples:\n"
        "  - {name: a, expect: Match, transaction: &pay {source: a, target: b, amount: 5, "
        "currency: USD}}\n"
        "  - {name: b, expect: NoMatch, transaction: {<<: *pay, amount: 1}}\n"
        "  - {name: c, expect: Match, transaction: *pay}\n"
    )
    assert yaml.safe_load(text)["spec"]["examples"][1]["transaction"]["amount"] == 1
    (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
    assert main(["rules", "check", str(tmp_path)]) == 0
