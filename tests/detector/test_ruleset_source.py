"""The rules' files are read whole, whatever way they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.detector.ruleset_source import RulesetSource
from services.rules import RuleStore
from tests.support.rules import ALWAYS, COMPILER, NEVER, rule

if TYPE_CHECKING:
    from pathlib import Path


def write(file: Path, expression: str) -> None:
    file.write_bytes(msgspec.json.encode(rule("limit", expression)))


def test_a_file_that_an_editor_has_truncated_is_not_read_before_it_is_written(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rule.yaml"
    write(file, ALWAYS)
    source = RulesetSource(tmp_path, RuleStore(COMPILER, 100))
    before = source.current

    file.write_bytes(b"")
    source.check()
    write(file, NEVER)
    source.check()
    assert source.current is before
    source.check()
    assert source.current is not before
    assert [state.name for state in source.states] == ["limit"]


def test_a_file_that_stays_empty_has_no_rule(tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    write(file, ALWAYS)
    source = RulesetSource(tmp_path, RuleStore(COMPILER, 100))
    file.write_bytes(b"")
    source.check()
    source.check()
    assert source.states == ()
