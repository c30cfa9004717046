"""What the tests of the rules engine share: rules, compilers and transactions in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from services.columns import JsonDecoder
from services.engine import Engine
from services.rules import Compiler, FraudRule, Ruleset
from services.rules.model import API_VERSION, KIND
from services.transactions import load_schema, settle_event_times
from tests.support.manifests import fraud_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from services.transactions import Schema

THURSDAY_NOON_MS = 1_767_268_800_000
ALWAYS = "transaction.amount > 0.0"
NEVER = "transaction.amount < 0.0"

COMPILER = Compiler(load_schema(None))


def rule(
    name: str = "some-rule", expression: str = ALWAYS, generation: int = 1, **spec: object
) -> FraudRule:
    """A rule with the fields of its spec by their names in YAML."""
    document = fraud_rule(name, generation, expression=expression, **spec)
    return msgspec.convert(document, FraudRule)


def ruleset(
    *rules: FraudRule,
    threshold: int = 100,
    on_error: Callable[[str, str], None] = lambda _rule, _error: None,
) -> Ruleset:
    """Rules over the built-in schema, in force."""
    compiled = [COMPILER.compile(each) for each in rules]
    return Ruleset(compiled, COMPILER.environment, threshold, on_error)


def decode(schema: Schema, values: dict[str, Any], record_ms: int = THURSDAY_NOON_MS) -> Any:
    """A transaction as the detector hands it to the rules."""
    transaction = schema.decode(msgspec.json.encode(values))
    rejected = settle_event_times(schema, [transaction], [record_ms], 2**62)
    assert not rejected
    if getattr(transaction, "id", "") is None:
        transaction.id = "transactions-0-7"
    return transaction


def matches(ruleset: Ruleset, transactions: Sequence[Any]) -> list[int]:
    """The mask of matching rules for each of some transactions, by the engine."""
    columns = JsonDecoder(ruleset.schema).decode(list(map(msgspec.json.encode, transactions)))
    masks = Engine(ruleset).masks(columns, (), transactions.__getitem__)
    return [masks.get(row, 0) for row in range(len(transactions))]


def payment(**values: object) -> Any:
    """A transaction of the built-in schema."""
    usual = {"source": "alice", "target": "bob", "amount": 10.0, "currency": "USD"}
    return decode(COMPILER.schema, {**usual, **values})


def manifest(name: str = "some-rule", expression: str = ALWAYS, extra: str = "") -> str:
    """A rule as YAML; `extra` is further lines of its spec, indented by two."""
    return (
        f"apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata:\n  name: {name}\n"
        f"spec:\n  expression: {expression}\n{extra}"
    )


def write(folder: Path, name: str, text: str) -> Path:
    """A file of rules."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
