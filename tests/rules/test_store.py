from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.rules import Compiler, RuleStore, Update, read_manifests, rule_files
from services.transactions import load_schema
from tests.rules.manifests import manifest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = manifest("limit")
BAD = manifest("limit", "transaction.amuont > 1.0")


class Folder:
    """A folder of rules, read again whenever asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compiler = Compiler(load_schema(None))
        self.store = RuleStore(self.compiler)

    def read(self, **files: str) -> Update:
        """Write files, NAME for NAME.yaml, and read the folder."""
        for name, text in files.items():
            (self.path / f"{name}.yaml").write_text(text, encoding="utf-8")
        manifests = [m for f in rule_files([self.path]) for m in read_manifests(f)]
        return self.store.update(manifests)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def states(update: Update) -> dict[str, str]:
    return {state.name: state.state for state in update.states}


def live(update: Update) -> dict[str, str]:
    return {c.rule.name: c.rule.spec.expression for c in update.ruleset.live}


def test_a_good_rule_is_ready(folder: Folder) -> None:
    assert states(folder.read(a=GOOD)) == {"limit": "Ready"}


def test_a_bad_edit_keeps_the_last_good_version(folder: Folder) -> None:
    before = folder.read(a=GOOD)
    after = folder.read(a=BAD)
    assert states(after) == {"limit": "Stale"}
    assert after.ruleset.hash == before.ruleset.hash
    assert "did you mean `transaction.amount`?" in after.states[0].message
    assert after.states[0].message.startswith(f"{folder.path}/a.yaml:4: ")


def test_mending_it_makes_it_ready_again(folder: Folder) -> None:
    folder.read(a=GOOD)
    folder.read(a=BAD)
    update = folder.read(a=manifest("limit", "transaction.amount > 5.0"))
    assert states(update) == {"limit": "Ready"}
    assert live(update) == {"limit": "transaction.amount > 5.0"}


def test_a_rule_that_never_was_good_is_invalid_and_not_live(folder: Folder) -> None:
    update = folder.read(a=BAD)
    assert states(update) == {"limit": "Invalid"}
    assert live(update) == {}


def test_a_deleted_rule_is_gone(folder: Folder) -> None:
    folder.read(a=GOOD, b=manifest("other"))
    (folder.path / "a.yaml").unlink()
    assert states(folder.read()) == {"other": "Ready"}


def test_a_deleted_rule_is_gone_even_if_its_last_version_was_bad(folder: Folder) -> None:
    folder.read(a=GOOD)
    folder.read(a=BAD)
    (folder.path / "a.yaml").unlink()
    assert live(folder.read()) == {}


def test_a_file_that_is_no_yaml_keeps_all_that_it_held(folder: Folder) -> None:
    folder.read(a=f"{GOOD}---\n{manifest('other')}")
    update = folder.read(a=f"{GOOD}---\na: [")
    assert states(update) == {"limit": "Ready", "other": "Stale"}
    assert set(live(update)) == {"limit", "other"}


def test_a_rule_may_move_to_another_file(folder: Folder) -> None:
    folder.read(a=GOOD)
    (folder.path / "a.yaml").unlink()
    assert states(folder.read(b=GOOD)) == {"limit": "Ready"}


def test_the_second_of_two_rules_with_a_name_is_refused(folder: Folder) -> None:
    update = folder.read(a=GOOD, b=manifest("limit", "true"))
    assert live(update) == {"limit": "transaction.amount >= 900.0"}
    assert sorted(states(update).values()) == ["Invalid", "Ready"]


def test_a_disabled_rule_says_so(folder: Folder) -> None:
    update = folder.read(a=manifest("limit", mode="Disabled"))
    assert states(update) == {"limit": "Disabled"}
    assert live(update) == {}


def test_an_unchanged_rule_is_not_compiled_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.read(a=GOOD)
    monkeypatch.delattr(Compiler, "compile")
    assert states(folder.read()) == {"limit": "Ready"}
