"""The schema as data: a team's own fields, and its mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.transactions import Rejection, SchemaError, load_schema
from services.transactions.currencies import DECIMALS
from tests.transactions.reading import read

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
    got = read(value, schema=load_schema(file))
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
    outcome = read(f"{{{fields}}}".encode(), schema=load_schema(file))
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "no fields"),
        ("fields: []", 1, "no fields"),
        ("fields: {a: b}", 1, "no fields"),
        ("a: [", 1, "not YAML"),
        (
            "fields:\n- {name: a, type: text}",
            2,
            "'text' is no type; expected one of string",
        ),
        ("fields:\n- {name: a, type: strnig}", 2, "'strnig' is no type; did you mean `string`?"),
        ("fields:\n- {name: a, type: [int]}", 2, "['int'] is no type"),
        ("fields:\n- {name: a, typ: int}", 2, "`typ` is no key of a field; did you mean `type`?"),
        (
            "fields:\n- {name: a, type: int, x: 5}",
            2,
            "`x` is no key of a field; expected",
        ),
        ("fields:\n- {type: int}", 2, "`name`"),
        ("fields:\n- {name: fooBar, type: int}\n- {name: foo_bar, type: int}", 3, "as `fooBar`"),
        ("fields:\n- {name: a, type: string, enum: [x], maxLength: 5}", 2, "an enum has no length"),
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


def test_the_fingerprint_does_not_change_with_order_or_descriptions(file: Path) -> None:
    lines = OWN.splitlines(keepends=True)
    file.write_text(OWN, encoding="utf-8")
    first = load_schema(file).fingerprint()
    described = lines[3].replace("type: bool", "type: bool, description: By hand.")
    file.write_text("".join([lines[0], described, *lines[1:3], *lines[4:]]), encoding="utf-8")
    assert load_schema(file).fingerprint() == first


def test_the_fingerprint_changes_with_a_bound(file: Path) -> None:
    file.write_text(OWN.replace("cash", "cheque"), encoding="utf-8")
    other = load_schema(file).fingerprint()
    file.write_text(OWN, encoding="utf-8")
    assert load_schema(file).fingerprint() != other


def test_what_an_enum_allows_is_said(file: Path) -> None:
    file.write_text(OWN, encoding="utf-8")
    value = b'{"payer": "abc", "cents": 5, "kind": "gold"}'
    detail = read(value, schema=load_schema(file)).detail
    assert detail == 'kind: found "gold", expected one of card, cash'


def test_currencies_are_those_of_iso_4217_with_a_minor_unit() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in DECIMALS)
    assert len(DECIMALS) == 165
    some = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4, "MGA": 2, "ISK": 0, "XCG": 2}
    assert some.items() <= DECIMALS.items()
    assert not {"BGN", "HRK", "ANG", "CUC", "SLL", "ZWL", "XAU", "XXX"} & DECIMALS.keys()


def test_a_long_enum_is_said_in_short(file: Path) -> None:
    kinds = ", ".join(f"kind{i}" for i in range(100))
    file.write_text(f"fields:\n- {{name: a, type: string, enum: [{kinds}]}}\n", encoding="utf-8")
    detail = read(b'{"a": "\\u0007"}', schema=load_schema(file)).detail
    assert (len(detail), detail[-1]) == (200, "…")
