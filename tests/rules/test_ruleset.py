from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from services.rules import Compiler, FraudRule, Ruleset
from services.transactions import load_schema
from tests.rules.manifests import manifest, payment
from tests.support.rules import matches

COMPILER = Compiler(load_schema(None))


def ruleset(*manifests: str, **more: Any) -> Ruleset:
    """A ruleset of YAML documents."""
    rules = [msgspec.convert(yaml.safe_load(text), FraudRule) for text in manifests]
    return Ruleset([COMPILER.compile(r) for r in rules], COMPILER.environment, **more)


def judge(rules: Ruleset, **fields: Any) -> tuple[str, int, list[str]]:
    """Verdict, score, and the rules that matched."""
    transaction = COMPILER.schema.decode(msgspec.json.encode(payment(**fields)))
    transaction.timestamp = 1_767_268_800_000
    (mask,) = matches(rules, [transaction])
    decision = rules.decide(mask)
    return decision.verdict, decision.score, [match.rule for match in decision.matches]


def flag(name: str, score: int, **more: Any) -> str:
    return manifest(name, "transaction.amount > 1.0", score=score, **more)


def test_a_flag_of_a_hundred_is_fraud() -> None:
    assert judge(ruleset(manifest())) == ("fraud", 100, ["rule"])


def test_no_match_is_legit() -> None:
    assert judge(ruleset(manifest()), amount=5.0) == ("legit", 0, [])


def test_flags_add_up_to_the_threshold() -> None:
    assert judge(ruleset(flag("a", 60), flag("b", 39)))[:2] == ("legit", 99)
    assert judge(ruleset(flag("a", 60), flag("b", 40)))[:2] == ("fraud", 100)


def test_the_threshold_is_a_setting() -> None:
    assert judge(ruleset(flag("a", 60), threshold=60))[0] == "fraud"


def test_allow_wins_over_every_flag() -> None:
    rules = ruleset(flag("a", 1000), flag("z", 100, action="Allow"))
    assert judge(rules) == ("legit", 1000, ["a", "z"])


@pytest.mark.parametrize("action", ["Flag", "Allow"])
def test_shadow_is_told_and_decides_nothing(action: str) -> None:
    rules = ruleset(flag("a", 100), flag("s", 100, mode="Shadow", action=action))
    assert judge(rules) == ("fraud", 100, ["a", "s"])
    assert judge(ruleset(flag("s", 100, mode="Shadow", action=action)))[0] == "legit"


def test_disabled_does_not_match() -> None:
    assert judge(ruleset(flag("a", 100, mode="Disabled"))) == ("legit", 0, [])


def test_an_empty_ruleset_finds_everything_legit() -> None:
    assert judge(ruleset()) == ("legit", 0, [])


def test_a_match_explains_itself() -> None:
    text = manifest(severity="High", description="Too much.", reasonCode="MUCH", score=120)
    (match,) = ruleset(text).decide(1).matches
    assert msgspec.to_builtins(match) == {
        "rule": "rule",
        "generation": 1,
        "mode": "Enforce",
        "action": "Flag",
        "score": 120,
        "severity": "High",
        "reasonCode": "MUCH",
        "description": "Too much.",
    }


def test_a_rule_that_fails_does_not_match_is_told_and_harms_no_other() -> None:
    told: list[tuple[str, str]] = []
    rules = ruleset(
        manifest("bad", "1 / (size(transaction.source) - 1) > 0"),
        manifest("good"),
        on_error=lambda rule, error: told.append((rule, error)),
    )
    assert judge(rules) == ("fraud", 100, ["good"])
    assert told == [("bad", "INVALID_ARGUMENT: divide by zero")]


def test_a_hundred_and_fifty_rules_have_a_bit_each() -> None:
    rules = ruleset(*(manifest(f"r{n:03}", f"transaction.amount > {n}.0") for n in range(150)))
    assert len(judge(rules, amount=100.0)[2]) == 100


def test_the_hash_follows_content_and_not_order() -> None:
    a, b = manifest("a"), manifest("b")
    same = ruleset(a, b).hash
    assert same == ruleset(b, a).hash
    others = [
        ruleset(a),
        ruleset(a, manifest("b", score=5)),
        ruleset(a, manifest("b", description="x")),
        ruleset(a, b, threshold=5),
    ]
    assert len({same, *(other.hash for other in others)}) == 5


def test_text_of_a_rule_is_never_code() -> None:
    quoted = "transaction.source == '\\'); import os; os._exit(1); (\\''"
    assert judge(ruleset(manifest(expression=quoted)))[0] == "legit"


def test_ids_and_times_can_be_read() -> None:
    rules = ruleset(manifest(expression="transaction.timestamp.getHours() == 12"))
    assert judge(rules)[0] == "fraud"
    assert ruleset(manifest(expression="transaction.id == 'x'")).reads == {"id"}
