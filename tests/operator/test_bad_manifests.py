"""Every bad manifest ends in a message that names the field, whoever reads it and in good time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from services.cli import main
from tests.operator.bad_manifests import BAD_MANIFESTS
from tests.operator.bad_windows import GOOD_WITH_WINDOWS
from tests.operator.one_wrong import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operator.one_wrong import BadManifest

# Of this process, so that a busy machine does not count.
MOST_SECONDS = 2.0

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
    began = time.process_time()
    code = checked(tmp_path, bad.text)
    took = time.process_time() - began
    out = capsys.readouterr().out
    assert code == 1
    assert bad.says in out
    assert f": {bad.field}: " in out or not bad.field
    assert took < MOST_SECONDS


@each_bad
def test_machines_are_told_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: BadManifest
) -> None:
    assert checked(tmp_path, bad.text, "--output=json") == 1
    reports = json.loads(capsys.readouterr().out)
    problems = [problem for report in reports for problem in report["problems"]]
    assert {problem["field"] for problem in problems} <= {bad.field}
    assert bool(problems) != (bad.says == "no rules found")
