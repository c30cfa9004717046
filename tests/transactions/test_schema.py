from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.transactions import Refusal, SchemaError, load_schema
from tests.transactions.test_refusals import read

if TYPE_CHECKING:
    from pathlib import Path

OWN = """\
fields:
- {name: payer, type: string, required: true, minLength: 3}
- {name: cents, type: int, required: true, minimum: 1}
- {name: trusted, type: bool}
- {name: kind, type: string, enum: [card, cash]}
- {name: share, type: double, minimum: 0, exclusiveMaximum: 1}
- {name: booked, type: timestamp}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schema.yaml"


def test_the_built_in_schema_has_the_seeds_four_fields_required() -> None:
    required = [field.name for field in load_schema(None).fields if field.required]
    assert required == ["source", "target", "amount", "currency"]


def test_a_teams_own_fields_are_decoded(file: Path) -> None:
    file.write_text(OWN, encoding="utf-8")
    value = b'{"payer": "abc", "cents": 5, "kind": "card", "booked": "2026-01-01T00:00:00Z"}'
    got = read(load_schema(file), value)
    assert (got.payer, got.cents, got.kind, got.trusted) == ("abc", 5, "card", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ('"payer": "ab", "cents": 5', "wrong_length"),
        ('"payer": "abc", "cents": 0', "out_of_range"),
        ('"payer": "abc", "cents": 5.5', "wrong_type"),
        (f'"payer": "abc", "cents": {2**63}', "out_of_range"),
        ('"payer": "abc", "cents": 5, "kind": "gold"', "not_allowed"),
        ('"payer": "abc", "cents": 5, "share": 1', "out_of_range"),
        ('"payer": "abc", "cents": 5, "trusted": 1', "wrong_type"),
        ('"payer": "abc", "cents": 5, "booked": "soon"', "invalid_timestamp"),
    ],
)
def test_a_teams_own_bounds_are_kept(file: Path, fields: str, reason: str) -> None:
    file.write_text(OWN, encoding="utf-8")
    outcome = read(load_schema(file), f"{{{fields}}}".encode())
    assert isinstance(outcome, Refusal)
    assert outcome.reason == reason


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "no fields"),
        ("fields: []", 1, "no fields"),
        ("fields: {a: b}", 1, "no fields"),
        ("a: [", 1, "not YAML"),
        ("fields:\n- {name: a, type: text}", 2, "'text'"),
        ("fields:\n- {name: a, type: string, lenght: 5}", 2, "lenght"),
        ("fields:\n- {name: a, type: int}\n- {name: a, type: int}", 3, "is there already"),
        ("fields:\n- {name: 1a, type: int}", 2, "is no field name"),
        ("fields:\n- {name: in, type: int}", 2, "is a word of the rule language"),
        ("fields:\n- {name: class, type: int}", 2, "is a word of the rule language"),
        ("fields:\n- {name: a, type: bool, minimum: 5}", 2, "minimum is no bound of a bool"),
        ("fields:\n- {name: timestamp, type: int}", 2, "its type is timestamp"),
        ("fields:\n- {name: id, type: int}", 2, "its type is string"),
        ("fields:\n- {name: a, type: string, minLength: -1}", 2, "minLength"),
        ("fields:\n- just text", 2, "Expected `object`"),
    ],
)
def test_a_mistake_names_its_place_and_the_mend(
    file: Path, text: str, line: int, said: str
) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        load_schema(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert said in str(caught.value)


def test_equal_schemas_have_equal_fingerprints(file: Path) -> None:
    file.write_text(OWN, encoding="utf-8")
    first = load_schema(file).fingerprint()
    file.write_text(OWN + "- {name: extra, type: bool}\n", encoding="utf-8")
    assert first != load_schema(file).fingerprint() != load_schema(None).fingerprint()
