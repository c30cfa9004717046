"""Every bad manifest ends in a message that names the field, whoever reads it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from services.cli import main
from tests.operator.bad_manifests import BAD_MANIFESTS
from tests.operator.bad_windows import GOOD_WITH_WINDOWS
from tests.operator.one_wrong import GOOD, TOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from tests.operator.one_wrong import BadManifest

# Texts that could take long, by a size.
GROWING: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: f"{TOP}spec: {'[' * n}{']' * n}\n",
    "brackets left open": lambda n: f"{TOP}spec: {'[' * n}",
    "braces": lambda n: f"{TOP}spec: {'{a: ' * n}{'}' * n}\n",
    "lists beside each other": lambda n: f"{TOP}spec: [{'[], ' * n}]\n",
    "keys": lambda n: f"{TOP}spec:\n" + "".join(f"  k{i}: 1\n" for i in range(n)),
    "aliases": lambda n: f"{TOP}a: &a [x]\nspec: [{'*a, ' * n}]\n",
    "merges": lambda n: f"{TOP}a: &a {{x: 1}}\nspec: {{<<: [{'*a, ' * n}]}}\n",
    "quotes": lambda n: f"{TOP}spec: [{chr(34) * 2 * n}]\n",
    "parentheses": lambda n: f"{TOP}spec: {{expression: '{'(' * n}{')' * n}'}}\n",
    "a long expression": lambda n: f"{TOP}spec: {{expression: 'true{' || true' * (n // 4)}'}}\n",
    "constants": lambda n: f"{TOP}spec: {{expression: '1 in [{'1 / 1, ' * (n // 4)}1] && 1'}}\n",
    "documents": lambda n: "a: 1\n---\n" * n,
}

each_bad = pytest.mark.parametrize("bad", BAD_MANIFESTS, ids=lambda bad: bad.name)


def checked(folder: Path, text: str, *options: str) -> int:
    """Run `fraud rules check` on a file with a text."""
    file = folder / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    return main(["rules", "check", str(file), *options])


@pytest.mark.parametrize("good", [GOOD, GOOD_WITH_WINDOWS])
def test_the_rules_that_each_is_made_from_are_good(tmp_path: Path, good: dict[str, Any]) -> None:
    assert checked(tmp_path, json.dumps(good)) == 0


def test_there_are_seventy_of_them_and_each_has_a_name_of_its_own() -> None:
    names = [bad.name for bad in BAD_MANIFESTS]
    assert len(names) >= 70
    assert sorted(set(names)) == sorted(names)


@each_bad
def test_people_are_told_the_field_and_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: BadManifest
) -> None:
    code = checked(tmp_path, bad.text)
    out = capsys.readouterr().out
    assert code == 1
    assert bad.says in out
    assert f": {bad.field}: " in out or not bad.field


def work(folder: Path, text: str) -> int:
    """The lines of Python that are run to check a text; the same on every machine."""
    lines = 0

    def line(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal lines
        lines += 1
        return line

    sys.settrace(line)
    try:
        checked(folder, text)
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize("shape", GROWING)
def test_the_work_grows_no_faster_than_the_text(tmp_path: Path, shape: str) -> None:
    text = GROWING[shape]
    checked(tmp_path, text(10))  # what is imported or cached at the first use
    few, many = work(tmp_path, text(250)), work(tmp_path, text(1000))
    assert many < 6 * few


@each_bad
def test_machines_are_told_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: BadManifest
) -> None:
    assert checked(tmp_path, bad.text, "--output=json") == 1
    reports = json.loads(capsys.readouterr().out)
    problems = [problem for report in reports for problem in report["problems"]]
    assert {problem["field"] for problem in problems} <= {bad.field}
    assert bool(problems) != (bad.says == "no rules found")
