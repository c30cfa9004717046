"""What holds of rules in force beyond single verdicts: failures, hashes, warnings and edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.rules import Compiler, RuleStore, read_manifests
from services.transactions import load_schema
from tests.support.rules import (
    ALWAYS,
    COMPILER,
    NEVER,
    manifest,
    matches,
    payment,
    rule,
    ruleset,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

    from services.rules import CompiledRule, FraudRule, Update

FAILS = "1 / (size(transaction.source) - 5) > 0"


@pytest.mark.parametrize(
    "expression", [FAILS, "[1].all(x, x / (size(transaction.source) - 5) > 0)"]
)
def test_a_failure_is_told_once_for_each_transaction_whichever_way_it_is_evaluated(
    expression: str,
) -> None:
    told: list[str] = []
    judged = ruleset(rule("bad", expression), on_error=lambda name, _: told.append(name))
    matches(judged, [payment(source="alice"), payment(source="bob"), payment(source="carol")])
    assert told == ["bad", "bad"]


def test_a_failure_does_not_carry_over_to_the_next_transaction() -> None:
    judged = ruleset(rule("a", FAILS), rule("b"))
    assert matches(judged, [payment(source="alice"), payment(source="abcdef")]) == [0b10, 0b11]


def test_a_failing_rule_that_is_disabled_is_not_told() -> None:
    told: list[str] = []
    judged = ruleset(
        rule("bad", FAILS, mode="Disabled"), on_error=lambda name, _: told.append(name)
    )
    matches(judged, [payment(source="alice")])
    assert told == []


def test_an_empty_batch_gives_no_masks() -> None:
    assert matches(ruleset(rule()), []) == []


def test_bits_follow_names_and_skip_disabled_rules() -> None:
    judged = ruleset(
        rule("c"), rule("b", mode="Disabled"), rule("a", NEVER), rule("d", "[1].all(x, x == 1)")
    )
    assert matches(judged, [payment()]) == [0b110]
    assert [match.rule for match in judged.decide(0b110).matches] == ["c", "d"]


def test_a_reason_code_comes_from_the_name_by_default() -> None:
    (match,) = ruleset(rule("card-testing.v2")).decide(1).matches
    assert match.reason_code == "CARD_TESTING_V2"


def test_the_fields_of_disabled_rules_are_not_read() -> None:
    judged = ruleset(rule("a"), rule("b", "transaction.ip == 'x'", mode="Disabled"))
    assert judged.reads == {"amount"}


@pytest.mark.parametrize(
    "changed",
    [
        rule(generation=2),
        rule(expression=NEVER),
        rule(mode="Shadow"),
        rule(action="Allow"),
        rule(severity="High"),
        rule(reasonCode="X"),
        rule("another-rule"),
    ],
)
def test_the_hash_changes_with_a_rule(changed: FraudRule) -> None:
    assert ruleset(changed).hash != ruleset(rule()).hash


def test_the_hash_changes_with_the_schema(tmp_path: Path) -> None:
    text = "fields:\n- {name: amount, type: double, required: true}\n"
    other = Compiler(load_schema(write(tmp_path, "schema.yaml", text)))
    moved = RuleStore(other).update([]).ruleset.hash
    assert moved != RuleStore(COMPILER).update([]).ruleset.hash


def test_the_hash_of_equal_rules_is_equal() -> None:
    assert ruleset(rule("a"), rule("b")).hash == ruleset(rule("a"), rule("b")).hash


@pytest.mark.parametrize(
    ("expression", "empty"),
    [("!transaction.known", "false"), ("transaction.tries < 3", "0")],
)
def test_a_warning_names_what_a_missing_field_reads_as(
    tmp_path: Path, expression: str, empty: str
) -> None:
    text = (
        "fields:\n- {name: amount, type: double, required: true}\n"
        "- {name: known, type: bool}\n- {name: tries, type: int}\n"
    )
    compiler = Compiler(load_schema(write(tmp_path, "schema.yaml", text)))
    warning, _ = compiler.compile(rule(expression=expression)).warnings
    assert f"then reads as {empty}:" in warning


def test_a_field_read_twice_is_warned_of_once() -> None:
    text = "transaction.ip != 'a' && transaction.ip != 'b'"
    assert str(COMPILER.compile(rule(expression=text)).warnings).count("may be missing") == 1


class Files:
    """A folder that is read into a store after each edit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = RuleStore(COMPILER)

    def edit(self, text: str) -> Update:
        """Write the file anew, and read it."""
        return self.store.update(read_manifests(write(self.folder, "rules.yaml", text)))


def of(update: Update) -> list[tuple[str, str, int]]:
    return [(state.name, state.state, state.generation) for state in update.states]


BAD = "transaction.amuont > 1.0"


def versioned(generation: int, expression: str = ALWAYS) -> str:
    return manifest(expression=expression).replace(
        "  name: some-rule\n", f"  name: some-rule\n  generation: {generation}\n"
    )


def test_a_stale_rule_tells_the_generation_that_decides(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.edit(versioned(3))
    assert of(files.edit(versioned(4, BAD))) == [("some-rule", "Stale", 3)]


def test_an_invalid_rule_has_no_generation_that_decides(tmp_path: Path) -> None:
    assert of(Files(tmp_path).edit(versioned(4, BAD))) == [("some-rule", "Invalid", 0)]


def test_a_rule_stays_stale_over_many_bad_edits(tmp_path: Path) -> None:
    files = Files(tmp_path)
    for text in (versioned(3), versioned(4, BAD), versioned(5, BAD), "a: ["):
        update = files.edit(text)
    assert of(update) == [("some-rule", "Stale", 3)]


def test_a_rule_that_was_disabled_and_is_now_bad_does_not_come_to_decide(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.edit(manifest(extra="  mode: Disabled\n"))
    assert files.edit(manifest(expression=BAD)).ruleset.live == ()


def test_one_changed_rule_is_the_only_one_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files(tmp_path)
    files.edit(f"{manifest('one')}---\n{manifest('two')}")
    compiled: list[str] = []
    original = Compiler.compile

    def compile_and_note(self: Compiler, one: FraudRule) -> CompiledRule:
        compiled.append(one.name)
        return original(self, one)

    monkeypatch.setattr(Compiler, "compile", compile_and_note)
    files.edit(f"{manifest('one')}---\n{manifest('two', NEVER)}")
    assert compiled == ["two"]


def test_an_example_edited_from_true_to_1_is_checked_again(tmp_path: Path) -> None:
    text = "fields:\n- {name: amount, type: double, required: true}\n- {name: known, type: bool}\n"
    compiler = Compiler(load_schema(write(tmp_path, "schema.yaml", text)))
    store = RuleStore(compiler)
    states = []
    for known in ("true", "1"):
        extra = (
            f"  examples:\n  - name: e\n    transaction: {{amount: 1.0, known: {known}}}\n"
            "    expect: Match\n"
        )
        file = write(tmp_path, "rules.yaml", manifest(extra=extra))
        states.append(store.update(read_manifests(file)).states[0].state)
    assert states == ["Ready", "Stale"]


def test_a_broken_file_that_never_held_a_rule_is_told_by_its_path(tmp_path: Path) -> None:
    (state,) = Files(tmp_path).edit("a: [").states
    assert state.state == "Invalid"
    assert "rules.yaml" in state.name
