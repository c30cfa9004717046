"""Files that no author means, and the command's answers beside a rule's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.cli import main
from services.rules import check
from tests.support.rules import COMPILER, manifest, write

if TYPE_CHECKING:
    from pathlib import Path

    from services.rules import Report

PAYMENT = "{source: a, target: b, amount: 1.0, currency: USD}"


def reports(folder: Path, text: str) -> list[Report]:
    return check([write(folder, "rules.yaml", text)], COMPILER)


def problem_lines(folder: Path, text: str) -> list[int]:
    return [r.line(problem) for r in reports(folder, text) for problem in r.problems]


def example(transaction: str) -> str:
    return f"  examples:\n  - name: shown\n    transaction: {transaction}\n    expect: Match\n"


HOSTILE = {
    "NUL": "\x00",
    "control character": manifest(expression="'a\x01'"),
    "tagged timestamp": manifest(extra="  score: !!timestamp foo\n"),
    "tagged bool": manifest(extra="  score: !!bool foo\n"),
    "tagged int": manifest(extra="  score: !!int ''\n"),
    "tagged float": manifest(extra="  score: !!float ''\n"),
    "tagged object": manifest(extra="  score: !!python/object:os.system x\n"),
    "surrogate in expression": manifest(expression="\"'\\ud800' == 'a'\""),
    "surrogate in description": manifest(extra='  description: "\\ud800"\n'),
    "surrogate in example": manifest(
        extra=example(PAYMENT.replace("source: a", 'source: "\\ud800"'))
    ),
    "example after the year 9999": manifest(
        extra=example(PAYMENT.replace("}", ', timestamp: "9999-12-31T23:59:59-10:00"}'))
    ),
    "example before the year 1": manifest(
        extra=example(PAYMENT.replace("}", ', timestamp: "0001-01-01T00:00:00+10:00"}'))
    ),
    "five thousand brackets": "[" * 5000,
    "list in examples too deep": manifest(extra=f"  examples: {'[' * 5000}{']' * 5000}\n"),
    "plain text": "just text\n",
    "YAML of another version": "%YAML 9.9\n---\na: b\n",
    "mapping as a key": "? {a: b}\n: c\n",
    "merge key": "a: {<<: {b: c}}\n",
    "tab": "a:\n\tb: c\n",
    "list without items": "apiVersion: v1\nkind: List\n",
    "list with items that are none": "apiVersion: v1\nkind: List\nitems: {a: 1}\n",
    "list of nothing": "apiVersion: v1\nkind: List\nitems:\n-\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_a_problem_and_never_an_exception(tmp_path: Path, text: str) -> None:
    found = reports(tmp_path, text)
    assert [bool(r.problems) for r in found if r.compiled is None] == [True]


def test_bytes_that_are_no_utf8_are_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    (report,) = check([file], COMPILER)
    assert "cannot be read" in report.problems[0].message


def test_a_file_of_more_than_three_megabytes_is_not_read(tmp_path: Path) -> None:
    (report,) = reports(tmp_path, "#" * (3 * 1024 * 1024 + 1))
    assert "3145729 bytes, and 3145728 is the most" in report.problems[0].message


def test_a_pattern_and_a_loop_at_their_limits_are_taken(tmp_path: Path) -> None:
    expression = f"{[1] * 1000}.all(x, x == 1) && transaction.source.matches('{'a' * 256}')"
    (report,) = reports(tmp_path, manifest(expression=f'"{expression}"'))
    assert report.problems == ()


def test_a_loop_in_a_loop_in_a_loop_is_counted_as_a_product(tmp_path: Path) -> None:
    inner = f"{[1] * 11}.all(y, {[1] * 10}.all(z, y == z))"
    text = manifest(expression=f'"{[1] * 10}.all(x, x == 1 && {inner})"')
    assert "loops of 1100 steps" in reports(tmp_path, text)[0].problems[0].message


def test_a_long_value_is_only_glimpsed_in_a_message(tmp_path: Path) -> None:
    (report,) = reports(tmp_path, manifest(expression="x" * 1_000_000))
    assert len(report.problems[0].message) < 200


def test_not_as_a_word_is_told_with_its_operator(tmp_path: Path) -> None:
    text = manifest(expression="not (transaction.amount > 5.0)")
    assert reports(tmp_path, text)[0].problems[0].hint == "write `!` for `not`"


def test_every_example_that_fails_is_told(tmp_path: Path) -> None:
    wrong = example(PAYMENT)
    other = wrong.removeprefix("  examples:\n").replace("shown", "other")
    text = manifest(expression="'false'", extra=wrong + other)
    assert problem_lines(tmp_path, text) == [8, 11]


def test_the_line_of_a_duplicate_is_that_of_its_name(tmp_path: Path) -> None:
    assert problem_lines(tmp_path, f"{manifest()}---\n{manifest()}") == [11]


def test_the_line_of_a_problem_in_a_tenth_item_of_a_list_is_its_own(tmp_path: Path) -> None:
    rules = [manifest(f"r{i}") for i in range(11)]
    rules[10] = manifest("r10", "transaction.amount > 1")
    items = "".join("- " + rule.strip().replace("\n", "\n  ") + "\n" for rule in rules)
    text = f"apiVersion: v1\nkind: List\nitems:\n{items}"
    assert problem_lines(tmp_path, text) == [3 + 10 * 6 + 6]


def test_a_folder_is_read_in_order_without_what_is_hidden_or_no_yaml(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "sub/c.json", ".hidden.yaml", "..data/d.yaml", "e.txt"):
        write(tmp_path, name, manifest(name.strip(".").replace("/", "-").replace(".", "-")))
    assert [r.name for r in check([tmp_path], COMPILER)] == ["a-yml", "b-yaml", "sub-c-json"]


def test_a_path_given_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path, "rules.yaml", manifest())
    assert len(check([file, tmp_path, file], COMPILER)) == 1


def run(*arguments: object) -> int:
    return main(["rules", "check", *map(str, arguments)])


def test_sound_rules_exit_with_0(tmp_path: Path) -> None:
    assert run(write(tmp_path, "rules.yaml", manifest())) == 0


def test_one_bad_rule_among_sound_ones_exits_with_1(tmp_path: Path) -> None:
    text = f"{manifest('one')}---\n{manifest('two', 'amount')}"
    assert run(write(tmp_path, "rules.yaml", text)) == 1


def test_a_folder_without_rules_exits_with_1(tmp_path: Path) -> None:
    assert run(tmp_path) == 1


def test_a_schema_that_is_not_there_exits_with_2(tmp_path: Path) -> None:
    rules = write(tmp_path, "rules.yaml", manifest())
    assert run(rules, "--schema", tmp_path / "nowhere") == 2


def test_no_path_at_all_exits_with_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 2


def test_the_rules_of_the_repository_are_sound(request: pytest.FixtureRequest) -> None:
    assert run(request.config.rootpath / "k8s" / "rules") == 0
