"""Which version of each rule decides, across edits, restarts and a document that is full."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.operator.rulebook import MAX_DOCUMENT_BYTES, Rulebook, Standing, size
from services.rules import Compiler, FraudRule, Ruleset, read_manifests, read_object, rule_hash
from services.rules.model import API_VERSION, KIND
from services.transactions import load_schema
from tests.support.manifests import fraud_rule
from tests.support.rules import ALWAYS, COMPILER, NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from services.rules import CompiledRule

Object = dict[str, Any]

BAD = "transaction.amuont > 0.0"
PAYMENT = {"source": "alice", "target": "bob", "amount": 10.0, "currency": "USD"}
MATCHES = {"name": "shown", "transaction": PAYMENT, "expect": "Match"}
DOES_NOT = {**MATCHES, "expect": "NoMatch"}


def book(limit: int = MAX_DOCUMENT_BYTES) -> Rulebook:
    """A rulebook over the built-in schema."""
    return Rulebook(COMPILER, 100, limit)


def restored(document: str) -> Rulebook:
    """A rulebook of an operator that starts with a document there."""
    restarted = book()
    restarted.restore(document)
    return restarted


def fraudrule(
    name: str = "limit", expression: str = ALWAYS, generation: int = 1, **spec: object
) -> Object:
    """A FraudRule as the API gives it."""
    rule = fraud_rule(name, generation, expression=expression, **spec)
    rule["metadata"]["uid"] = f"uid-of-{name}"
    return rule


def judged(rulebook: Rulebook, value: Object) -> Standing:
    """How the only rule there is stands."""
    (standing,) = rulebook.update([value])
    return standing


def generation_that_decides(standing: Standing) -> int | None:
    return standing.rule.metadata.generation if standing.rule else None


def items(rulebook: Rulebook) -> list[Object]:
    found: list[Object] = json.loads(rulebook.document())["items"]
    return found


def published(rulebook: Rulebook) -> dict[str, int]:
    """The generation of every rule in the document."""
    return {i["metadata"]["name"]: i["metadata"]["generation"] for i in items(rulebook)}


EMPTY = book()
OVERHEAD = len(EMPTY.document().encode())


def test_a_good_rule_decides_as_it_is() -> None:
    standing = judged(book(), fraudrule(generation=3))
    assert generation_that_decides(standing) == 3


def test_a_good_rule_has_no_problems() -> None:
    assert judged(book(), fraudrule()).problems == ()


def test_a_bad_edit_leaves_the_last_good_version_deciding() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(generation=1))
    standing = judged(rulebook, fraudrule(expression=BAD, generation=2))
    assert generation_that_decides(standing) == 1


def test_a_bad_edit_is_told_with_the_generation_that_it_is() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(generation=1))
    standing = judged(rulebook, fraudrule(expression=BAD, generation=2))
    assert (standing.generation, bool(standing.problems)) == (2, True)


def test_a_bad_edit_changes_nothing_for_detectors() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(generation=1))
    before = rulebook.document()
    judged(rulebook, fraudrule(expression=BAD, generation=2))
    assert rulebook.document() == before


def test_the_last_good_version_outlives_several_bad_edits() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(generation=1))
    for generation in (2, 3, 4):
        standing = judged(rulebook, fraudrule(expression=BAD, generation=generation))
    assert generation_that_decides(standing) == 1


def test_a_mended_rule_decides_as_it_is_now() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(generation=1))
    judged(rulebook, fraudrule(expression=BAD, generation=2))
    standing = judged(rulebook, fraudrule(expression=NEVER, generation=3))
    assert (generation_that_decides(standing), standing.problems) == (3, ())


def test_a_deleted_rule_decides_no_more() -> None:
    rulebook = book()
    rulebook.update([fraudrule("one"), fraudrule("other")])
    rulebook.update([fraudrule("other")])
    assert published(rulebook) == {"other": 1}


def test_a_rule_deleted_after_a_bad_edit_decides_no_more() -> None:
    rulebook = book()
    judged(rulebook, fraudrule())
    judged(rulebook, fraudrule(expression=BAD, generation=2))
    rulebook.update([])
    assert published(rulebook) == {}


def test_a_rule_deleted_and_made_again_badly_has_no_good_version() -> None:
    rulebook = book()
    judged(rulebook, fraudrule())
    rulebook.update([])
    assert judged(rulebook, fraudrule(expression=BAD)).rule is None


def test_a_rule_that_never_was_good_has_no_version_that_decides() -> None:
    rulebook = book()
    standing = judged(rulebook, fraudrule(expression=BAD))
    assert (standing.rule, published(rulebook)) == (None, {})


def test_a_bad_rule_takes_no_other_with_it() -> None:
    rulebook = book()
    rulebook.update([fraudrule("bad", BAD), fraudrule("good")])
    assert published(rulebook) == {"good": 1}


def test_standings_come_in_the_order_of_the_objects() -> None:
    objects = [fraudrule("c"), fraudrule("a", BAD), fraudrule("b")]
    assert [standing.name for standing in book().update(objects)] == ["c", "a", "b"]


def test_a_rule_switched_off_is_in_the_document_as_such() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(mode="Disabled"))
    assert [item["spec"]["mode"] for item in items(rulebook)] == ["Disabled"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (fraudrule(), "Accepted"),
        (fraudrule(mode="Shadow"), "Accepted"),
        (fraudrule(examples=[MATCHES]), "Accepted"),
        (fraudrule(mode="Disabled"), "Disabled"),
        (fraudrule(expression=BAD), "InvalidExpression"),
        (fraudrule(expression="transaction.amount"), "InvalidExpression"),
        (fraudrule(expression=""), "InvalidExpression"),
        (fraudrule(expression=BAD, mode="Disabled"), "InvalidExpression"),
        (fraudrule(expression=BAD, examples=[DOES_NOT]), "InvalidExpression"),
        (fraudrule(examples=[DOES_NOT]), "ExampleFailed"),
        (fraudrule(examples=[{**MATCHES, "transaction": {}}]), "ExampleFailed"),
        (fraudrule(examples=[{"name": "no expectation", "transaction": PAYMENT}]), "InvalidSpec"),
        (fraudrule(score=0), "InvalidSpec"),
        (fraudrule(scroe=50), "InvalidSpec"),
        (fraudrule(action="Allow", score=50), "InvalidSpec"),
        (fraudrule("3ds-missing"), "InvalidSpec"),
        ({**fraudrule(), "spec": None}, "InvalidSpec"),
    ],
)
def test_the_reason_is_one_word_for_what_is_wrong(value: Object, reason: str) -> None:
    assert judged(book(), value).reason == reason


def test_a_good_rule_is_warned_of() -> None:
    warning, _ = judged(book(), fraudrule(expression="transaction.country != 'US'")).warnings
    assert warning.startswith("`country` may be missing")


def test_an_operator_that_starts_again_has_the_same_last_good_versions() -> None:
    before = book()
    before.update([fraudrule("one", generation=4), fraudrule("other", NEVER, generation=2)])
    assert restored(before.document()).rule_hashes == before.rule_hashes


def test_the_document_is_the_same_after_a_restart() -> None:
    before = book()
    before.update([fraudrule("one", description="for “all” of them\n"), fraudrule("other")])
    assert restored(before.document()).document() == before.document()


def test_a_rule_that_is_bad_at_the_restart_keeps_its_last_good_version() -> None:
    before = book()
    judged(before, fraudrule(generation=1))
    standing = judged(restored(before.document()), fraudrule(expression=BAD, generation=2))
    assert generation_that_decides(standing) == 1


def test_a_rule_deleted_while_no_operator_ran_decides_no_more() -> None:
    before = book()
    before.update([fraudrule("one"), fraudrule("other")])
    after = restored(before.document())
    after.update([fraudrule("other")])
    assert published(after) == {"other": 1}


def test_another_threshold_leaves_the_last_good_versions() -> None:
    before = book()
    judged(before, fraudrule())
    after = Rulebook(COMPILER, 50)
    after.restore(before.document())
    assert after.rule_hashes == before.rule_hashes


def test_another_threshold_makes_another_ruleset() -> None:
    before = book()
    judged(before, fraudrule())
    after = Rulebook(COMPILER, 50)
    after.restore(before.document())
    assert after.hash != before.hash


def test_another_schema_leaves_the_last_good_versions(tmp_path: Path) -> None:
    file = tmp_path / "schema.yaml"
    file.write_text("fields:\n- {name: amount, type: double, required: true}\n", encoding="utf-8")
    before = book()
    judged(before, fraudrule())
    after = Rulebook(Compiler(load_schema(file)), 100)
    after.restore(before.document())
    assert after.rule_hashes == before.rule_hashes


def test_an_empty_rulebook_is_restored_empty() -> None:
    assert restored(EMPTY.document()).document() == EMPTY.document()


def test_whitespace_in_the_document_does_not_matter() -> None:
    before = book()
    judged(before, fraudrule())
    indented = json.dumps(json.loads(before.document()), indent=4)
    assert restored(indented).rule_hashes == before.rule_hashes


def _twice(document: Object) -> None:
    document["items"].append(document["items"][0])


def _edit(*path: str | int, value: object) -> Callable[[Object], None]:
    def edit(document: Object) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    return edit


EDITS: dict[str, Callable[[Object], None]] = {
    "expression": _edit("items", 0, "spec", "expression", value=NEVER),
    "bad expression": _edit("items", 0, "spec", "expression", value=BAD),
    "score": _edit("items", 0, "spec", "score", value=1),
    "score out of bounds": _edit("items", 0, "spec", "score", value=0),
    "mode": _edit("items", 0, "spec", "mode", value="Disabled"),
    "unknown field": _edit("items", 0, "spec", "scroe", value=1),
    "name": _edit("items", 0, "metadata", "name", value="renamed"),
    "name that is none": _edit("items", 0, "metadata", "name", value="../etc"),
    "name that is a number": _edit("items", 0, "metadata", "name", value=5),
    "generation": _edit("items", 0, "metadata", "generation", value=9),
    "one removed": lambda document: document["items"].pop(),
    "one added": lambda document: document["items"].append(fraudrule("added")),
    "one twice": _twice,
    "two swapped for twice one": _edit("items", 1, value=fraudrule("one")),
    "item of another kind": _edit("items", 0, "kind", value="Pod"),
    "item null": _edit("items", 0, value=None),
    "item text": _edit("items", 0, value="rule"),
    "item empty": _edit("items", 0, value={}),
    "item without spec": lambda document: document["items"][0].pop("spec"),
    "items an object": _edit("items", value={"one": fraudrule("one")}),
    "items null": _edit("items", value=None),
    "no items": lambda document: document.pop("items"),
    "all removed": _edit("items", value=[]),
    "no metadata": lambda document: document.pop("metadata"),
    "metadata a list": _edit("metadata", value=[]),
    "no checksum": lambda document: document["metadata"].pop("checksum"),
    "another checksum": _edit("metadata", "checksum", value="0" * 16),
    "checksum null": _edit("metadata", "checksum", value=None),
    "checksum a number": _edit("metadata", "checksum", value=0),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_document_is_not_trusted(edit: Callable[[Object], None]) -> None:
    before = book()
    before.update([fraudrule("one"), fraudrule("other", NEVER)])
    document = json.loads(before.document())
    edit(document)
    assert restored(json.dumps(document)).rule_hashes == {}


@pytest.mark.parametrize(
    "text",
    ["", " ", "null", "5", '""', "[]", "{}", "{", "NaN", "kind: FraudRuleList", "\x00", "[" * 5000],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_document_is_not_trusted(text: str) -> None:
    assert restored(text).rule_hashes == {}


@given(st.text())
def test_any_text_leaves_the_rulebook_empty(text: str) -> None:
    assert restored(text).rule_hashes == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(JSON | st.fixed_dictionaries({"name": JSON, "generation": JSON}), JSON, JSON, JSON)
def test_any_values_in_a_document_leave_the_rulebook_empty(
    metadata: object, spec: object, kind: object, version: object
) -> None:
    rule = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
    other = {"apiVersion": version, "kind": kind, "metadata": {"name": "other"}, "spec": spec}
    document = {**json.loads(EMPTY.document()), "items": [rule, other]}
    assert restored(json.dumps(document)).rule_hashes == {}


def test_a_document_that_is_not_trusted_takes_nothing_from_what_is_known() -> None:
    rulebook = book()
    judged(rulebook, fraudrule())
    before = rulebook.document()
    rulebook.restore("{}")
    assert rulebook.document() == before


SEVERAL = [
    fraudrule("quotes", "transaction.source == \"it's\" || transaction.source == '\\\\\"'"),
    fraudrule("lines", "transaction.amount > 1.0 &&\n\ttransaction.amount < 2.0\n", generation=12),
    fraudrule("words", description="yes: no, {null} [~] # - 'é' “ü” 日本 💳 \u200b \ufeff & * ! %"),
    fraudrule("control", description="\x00\x1f\b\f\r\n\t trailing \\ "),
    fraudrule("looks-like-a-number", description="0x1F", reasonCode="NO"),
    fraudrule("all-of-it", mode="Shadow", score=40, severity="Critical", reasonCode="ALL_OF_IT"),
    fraudrule("an-allow", action="Allow", examples=[MATCHES]),
    fraudrule("off", mode="Disabled"),
]


def read_by_a_detector(document: str, folder: Path) -> list[FraudRule]:
    file = folder / "ruleset.json"
    file.write_text(document, encoding="utf-8")
    manifests = read_manifests(file)
    assert [m.problems for m in manifests if m.problems] == []
    return [m.rule for m in manifests if m.rule is not None]


def test_a_detector_reads_the_rules_that_decide(tmp_path: Path) -> None:
    rulebook = book()
    rulebook.update(SEVERAL)
    rules = read_by_a_detector(rulebook.document(), tmp_path)
    assert {rule.name: rule_hash(rule) for rule in rules} == rulebook.rule_hashes


def test_every_good_rule_has_the_hash_of_the_object_it_came_from() -> None:
    rulebook = book()
    rulebook.update(SEVERAL)
    rules = [read_object(value, "api").rule for value in SEVERAL]
    assert rulebook.rule_hashes == {r.name: rule_hash(r) for r in rules if r is not None}


@pytest.mark.parametrize("threshold", [100, 50])
def test_a_detector_gives_the_ruleset_the_same_name(tmp_path: Path, threshold: int) -> None:
    rulebook = Rulebook(COMPILER, threshold)
    rulebook.update(SEVERAL)
    compiled = [COMPILER.compile(r) for r in read_by_a_detector(rulebook.document(), tmp_path)]
    assert Ruleset(compiled, COMPILER.environment, threshold).hash == rulebook.hash


def test_a_detector_reads_an_empty_document_as_no_rules(tmp_path: Path) -> None:
    assert read_by_a_detector(EMPTY.document(), tmp_path) == []


def test_examples_do_not_travel() -> None:
    rulebook = book()
    judged(rulebook, fraudrule(examples=[MATCHES]))
    assert "examples" not in items(rulebook)[0]["spec"]


def test_examples_do_not_change_the_document() -> None:
    plain, proven = book(), book()
    judged(plain, fraudrule())
    judged(proven, fraudrule(examples=[MATCHES]))
    assert proven.document() == plain.document()


def test_examples_written_into_the_document_do_not_travel() -> None:
    before = book()
    judged(before, fraudrule())
    document = json.loads(before.document())
    document["items"][0]["spec"]["examples"] = [MATCHES]
    assert "shown" not in restored(json.dumps(document)).document()


def test_examples_take_no_room() -> None:
    rule = msgspec.convert(fraudrule(), FraudRule)
    proven = msgspec.convert(fraudrule(examples=[MATCHES] * 32), FraudRule)
    assert size(proven) == size(rule)


def test_fields_that_say_nothing_do_not_travel() -> None:
    rulebook = book()
    judged(rulebook, fraudrule())
    assert {"description", "reasonCode"}.isdisjoint(items(rulebook)[0]["spec"])


def test_the_size_of_a_rule_is_what_it_adds_to_the_document() -> None:
    one, two = book(), book()
    one.update([fraudrule("a")])
    two.update([fraudrule("a"), fraudrule("b", description="ü💳\n")])
    added = len(two.document().encode()) - len(one.document().encode())
    assert added == size(msgspec.convert(fraudrule("b", description="ü💳\n"), FraudRule))


ONE = size(msgspec.convert(fraudrule("a"), FraudRule))


def test_a_rule_for_which_there_is_just_room_is_taken() -> None:
    assert judged(book(ONE), fraudrule("a")).reason == "Accepted"


def test_a_rule_for_which_there_is_no_room_is_refused() -> None:
    standing = judged(book(ONE - 1), fraudrule("a"))
    assert (standing.reason, standing.rule) == ("RulesetTooLarge", None)


def test_what_decides_is_not_displaced_by_a_new_rule_that_is_smaller() -> None:
    rulebook = book(2 * ONE - 1)
    rulebook.update([fraudrule("z", description="xxx")])
    rulebook.update([fraudrule("z", description="xxx"), fraudrule("a")])
    assert published(rulebook) == {"z": 1}


def test_an_edit_for_which_there_is_no_room_leaves_the_version_before() -> None:
    rulebook = book(ONE + 10)
    judged(rulebook, fraudrule("a"))
    standing = judged(rulebook, fraudrule("a", generation=2, description="x" * 50))
    assert (standing.reason, generation_that_decides(standing)) == ("RulesetTooLarge", 1)


def test_a_refusal_says_what_the_rule_takes_and_what_all_may() -> None:
    standing = judged(book(ONE - 1), fraudrule("a"))
    assert (
        f"takes {ONE} bytes, and there is no room for it: all rules together may take {ONE - 1}"
        in standing.problems[0].text()
    )


def test_a_rule_that_was_refused_is_taken_once_another_is_gone() -> None:
    rulebook = book(ONE)
    rulebook.update([fraudrule("a")])
    rulebook.update([fraudrule("a"), fraudrule("b")])
    assert judged(rulebook, fraudrule("b")).reason == "Accepted"


def test_a_rule_is_taken_in_the_room_that_another_frees_in_the_same_round() -> None:
    rulebook = book(2 * ONE)
    rulebook.update([fraudrule("b", description="x" * (ONE - len(',"description":""')))])
    rulebook.update([fraudrule("a"), fraudrule("b", generation=2)])
    assert published(rulebook) == {"a": 1, "b": 2}


def test_room_is_freed_before_it_is_given_whatever_else_is_refused() -> None:
    rulebook = book(2 * ONE)
    rulebook.update([fraudrule("b", description="x" * (ONE - len(',"description":""')))])
    large = fraudrule("c", description="x" * ONE)
    rulebook.update([fraudrule("a"), fraudrule("b", generation=2), large])
    assert published(rulebook) == {"a": 1, "b": 2}


def test_what_decides_stays_when_an_operator_with_a_lower_limit_starts() -> None:
    before, after = book(), book(ONE)
    before.update([fraudrule("a"), fraudrule("b")])
    after.restore(before.document())
    after.update([fraudrule("a"), fraudrule("b")])
    assert published(after) == {"a": 1, "b": 1}


def test_an_edit_that_shrinks_a_rule_is_taken_above_a_limit_that_was_lowered() -> None:
    before, after = book(), book(ONE)
    before.update([fraudrule("a", description="x"), fraudrule("b")])
    after.restore(before.document())
    after.update([fraudrule("a", generation=2), fraudrule("b")])
    assert published(after) == {"a": 2, "b": 1}


LIMIT = 3 * ONE
NAMES = st.sampled_from("abcde")
# The length of a description, or None for a bad expression.
EDIT = st.none() | st.integers(0, 2 * ONE)
# What people do before the operator looks again: edits and, as "gone", deletions, by name.
ROUNDS = st.lists(st.dictionaries(NAMES, EDIT | st.just("gone"), min_size=1), max_size=12)
Rounds = list[dict[str, int | str | None]]


class History:
    """A namespace and the rulebook that follows it, round by round."""

    def __init__(self) -> None:
        self.rulebook = book(LIMIT)
        self.objects: dict[str, Object] = {}
        self.standings: dict[str, Standing] = {}
        self._generations: dict[str, int] = {}

    def go_on(self, edits: dict[str, int | str | None]) -> None:
        """Carry out the edits, and have the rulebook look."""
        for name, edit in edits.items():
            if edit == "gone":
                self.objects.pop(name, None)
                continue
            # From 10, so that no number of digits changes what an edit takes.
            generation = self._generations.get(name, 9) + 1
            self._generations[name] = generation
            self.objects[name] = (
                fraudrule(name, BAD, generation)
                if edit is None
                else fraudrule(name, ALWAYS, generation, description="x" * int(edit))
            )
        self.look()

    def look(self) -> None:
        """Have the rulebook look at what there is."""
        self.standings = {s.name: s for s in self.rulebook.update(self.objects.values())}

    def wanted(self, name: str) -> FraudRule:
        """The newest version of a rule."""
        rule = read_object(self.objects[name], "api").rule
        assert rule is not None
        return rule

    def good(self) -> list[str]:
        """The rules whose newest version is good, whether there is room for it or not."""
        return [n for n, o in self.objects.items() if o["spec"]["expression"] == ALWAYS]

    def bytes_of(self, names: Iterable[str]) -> int:
        """What the versions that decide take, of these rules."""
        rules = (self.standings[name].rule for name in names)
        return sum(size(rule) for rule in rules if rule is not None)


@given(ROUNDS)
def test_the_document_never_exceeds_the_limit_and_its_own_frame(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        assert len(history.rulebook.document().encode()) <= LIMIT + OVERHEAD


@given(ROUNDS)
def test_no_rule_stops_deciding_unless_it_is_deleted(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        before = published(history.rulebook)
        history.go_on(edits)
        assert (before.keys() & history.objects.keys()) <= published(history.rulebook).keys()


@given(ROUNDS)
def test_a_deleted_rule_is_never_in_the_document(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        assert published(history.rulebook).keys() <= history.objects.keys()


@given(ROUNDS)
def test_a_good_version_decides_or_is_refused_for_its_size(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        for name in history.good():
            standing = history.standings[name]
            newest = generation_that_decides(standing) == standing.generation
            assert newest == (standing.reason != "RulesetTooLarge")


@given(ROUNDS)
def test_nothing_is_refused_for_its_size_while_everything_fits(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        good = history.good()
        all_of_it = sum(size(history.wanted(name)) for name in good)
        all_of_it += history.bytes_of(history.objects.keys() - set(good))
        if all_of_it <= LIMIT:
            reasons = {standing.reason for standing in history.standings.values()}
            assert "RulesetTooLarge" not in reasons


@given(ROUNDS)
def test_what_is_refused_for_its_size_would_not_fit(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        for name, standing in history.standings.items():
            if standing.reason == "RulesetTooLarge":
                others = history.bytes_of(history.standings.keys() - {name})
                assert others + size(history.wanted(name)) > LIMIT


@given(ROUNDS)
def test_an_edit_that_shrinks_a_rule_is_always_taken(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        before = {name: s.rule for name, s in history.standings.items() if s.rule is not None}
        history.go_on(edits)
        for name in history.good():
            old = before.get(name)
            if old is not None and size(history.wanted(name)) <= size(old):
                assert history.standings[name].reason == "Accepted"


@given(ROUNDS)
def test_a_bad_version_leaves_what_decided_before(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        before = published(history.rulebook)
        history.go_on(edits)
        after = published(history.rulebook)
        for name in history.objects.keys() - set(history.good()):
            assert after.get(name) == before.get(name)


@given(ROUNDS)
def test_looking_again_changes_nothing(rounds: Rounds) -> None:
    history = History()
    for edits in rounds:
        history.go_on(edits)
        before = history.standings, history.rulebook.document()
        history.look()
        assert (history.standings, history.rulebook.document()) == before


@given(ROUNDS)
def test_the_order_of_the_objects_does_not_matter(rounds: Rounds) -> None:
    history, other = History(), book(LIMIT)
    for edits in rounds:
        history.go_on(edits)
        other.update(reversed(history.objects.values()))
        assert other.document() == history.rulebook.document()


@given(ROUNDS)
def test_a_restart_between_any_two_rounds_changes_nothing(rounds: Rounds) -> None:
    history, other = History(), book(LIMIT)
    for edits in rounds:
        history.go_on(edits)
        restarted = book(LIMIT)
        restarted.restore(other.document())
        restarted.update(history.objects.values())
        assert restarted.document() == history.rulebook.document()
        other = restarted


class CountingCompiler(Compiler):
    """Counts what it compiles."""

    def __init__(self) -> None:
        super().__init__(COMPILER.schema)
        self.compiled: list[str] = []

    def compile(self, rule: FraudRule) -> CompiledRule:
        """Count, and compile."""
        self.compiled.append(rule.name)
        return super().compile(rule)


@pytest.fixture
def compiler() -> CountingCompiler:
    return CountingCompiler()


@pytest.mark.parametrize(
    "value", [fraudrule("same"), fraudrule("same", BAD), fraudrule("same", examples=[DOES_NOT])]
)
def test_an_unchanged_rule_is_not_compiled_again(compiler: CountingCompiler, value: Object) -> None:
    rulebook = Rulebook(compiler, 100)
    for round_ in range(3):
        rulebook.update([value, fraudrule("other", f"transaction.amount > {round_}.0")])
    assert compiler.compiled.count("same") == 1


def test_an_edited_rule_is_compiled_again(compiler: CountingCompiler) -> None:
    rulebook = Rulebook(compiler, 100)
    judged(rulebook, fraudrule(generation=1))
    judged(rulebook, fraudrule(expression=NEVER, generation=2))
    assert compiler.compiled == ["limit", "limit"]


def test_a_label_alone_is_no_reason_to_compile_again(compiler: CountingCompiler) -> None:
    rulebook = Rulebook(compiler, 100)
    value = fraudrule()
    judged(rulebook, value)
    labelled = {**value, "metadata": {**value["metadata"], "labels": {"team": "cards"}}}
    judged(rulebook, {**labelled, "status": {"applied": "1/1"}})
    assert compiler.compiled == ["limit"]


def test_a_rule_made_again_after_it_was_gone_is_compiled_again(compiler: CountingCompiler) -> None:
    rulebook = Rulebook(compiler, 100)
    judged(rulebook, fraudrule())
    rulebook.update([])
    judged(rulebook, fraudrule())
    assert compiler.compiled == ["limit", "limit"]


def test_five_hundred_rules_are_compiled_once(compiler: CountingCompiler) -> None:
    rulebook = Rulebook(compiler, 100)
    objects = [fraudrule(f"rule-{i}", f"transaction.amount > {i}.0") for i in range(500)]
    start = time.perf_counter()
    rulebook.update(objects)
    first = time.perf_counter()
    rulebook.update(objects)
    second = time.perf_counter()
    sys.stdout.write(f"500 rules: {first - start:.3f} s, and {second - first:.3f} s again\n")
    assert len(compiler.compiled) == 500
