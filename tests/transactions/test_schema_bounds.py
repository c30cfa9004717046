"""Bounds of a team's own fields, and schemas that cannot be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transactions import Field, Reason, Rejection, Schema, SchemaError, load_schema
from tests.transactions.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INT64 = 2**63


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Schema]:
    """Load a schema from its text."""

    def loaded(text: str) -> Schema:
        file = tmp_path / "schema.yaml"
        file.write_text(text, encoding="utf-8")
        return load_schema(file)

    return loaded


@pytest.fixture
def one(load: Callable[[str], Schema]) -> Callable[[str], Schema]:
    """Load a schema of one field `a`, whose type and bounds are given."""
    return lambda rest: load(f"fields:\n- {{name: a, type: {rest}}}\n")


def said(schema: Schema, raw: str) -> Any:
    """Give the value of the field `a`, or the reason of its refusal."""
    found = read(f'{{"a":{raw}}}'.encode(), schema=schema)
    return found.reason if isinstance(found, Rejection) else found.a


# What is decoded.


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("string", '"x"', "x"),
        ("string, enum: [x, y]", '"y"', "y"),
        ("string, minLength: 2, maxLength: 2", '"äö"', "äö"),
        ("double", "1", 1.0),
        ("double, minimum: 1", "1", 1.0),
        ("double, maximum: 1", "1", 1.0),
        ("double, exclusiveMinimum: 0", "5e-324", 5e-324),
        ("int", str(INT64 - 1), INT64 - 1),
        ("int", str(-INT64), -INT64),
        ("int, exclusiveMinimum: 5, exclusiveMaximum: 7", "6", 6),
        ("int, minimum: 5, maximum: 5", "5", 5),
        ("bool", "true", True),
        ("currency", '"JPY"', "JPY"),
        ("timestamp", "-1", -1),
    ],
)
def test_a_value_inside_its_bounds_is_kept(
    one: Callable[[str], Schema], kind: str, raw: str, value: object
) -> None:
    assert said(one(kind), raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "reason"),
    [
        ("string", "1", Reason.WRONG_TYPE),
        ("string, enum: [x, y]", '"z"', Reason.NOT_ALLOWED),
        ("string, enum: [x, y]", '"X"', Reason.NOT_ALLOWED),
        ("string, enum: [x, y]", "1", Reason.WRONG_TYPE),
        ("string, minLength: 2", '"x"', Reason.WRONG_LENGTH),
        ("string, maxLength: 2", '"xyz"', Reason.WRONG_LENGTH),
        ("double", "1e400", Reason.OUT_OF_RANGE),
        ("double, minimum: 1", "0.999", Reason.OUT_OF_RANGE),
        ("double, maximum: 1", "1.001", Reason.OUT_OF_RANGE),
        ("double, exclusiveMinimum: 1", "1", Reason.OUT_OF_RANGE),
        ("double, exclusiveMaximum: 1", "1", Reason.OUT_OF_RANGE),
        ("int", str(INT64), Reason.OUT_OF_RANGE),
        ("int", str(-INT64 - 1), Reason.OUT_OF_RANGE),
        ("int", str(2**64), Reason.OUT_OF_RANGE),
        ("int", "-" + "9" * 5_000, Reason.OUT_OF_RANGE),
        ("int", "1.5", Reason.WRONG_TYPE),
        ("int", '"1"', Reason.WRONG_TYPE),
        ("int", "true", Reason.WRONG_TYPE),
        ("int, minimum: 5", "4", Reason.OUT_OF_RANGE),
        ("int, maximum: 5", "6", Reason.OUT_OF_RANGE),
        ("int, exclusiveMinimum: 5", "5", Reason.OUT_OF_RANGE),
        ("int, exclusiveMaximum: 5", "5", Reason.OUT_OF_RANGE),
        ("int, minimum: 5", str(INT64), Reason.OUT_OF_RANGE),
        ("int, maximum: 5", str(-INT64 - 1), Reason.OUT_OF_RANGE),
        ("bool", "0", Reason.WRONG_TYPE),
        ("bool", '"true"', Reason.WRONG_TYPE),
        ("currency", '"XXX"', Reason.UNKNOWN_CURRENCY),
        ("timestamp", '"soon"', Reason.INVALID_TIMESTAMP),
        ("timestamp", '"2024-05-01T12:00:00"', Reason.INVALID_TIMESTAMP),
        ("int, required: true", "null", Reason.NULL_FIELD),
        ("string, enum: [x], required: true", "null", Reason.NULL_FIELD),
        ("bool, required: true", "null", Reason.NULL_FIELD),
        ("timestamp, required: true", "null", Reason.NULL_FIELD),
    ],
)
def test_a_value_outside_its_bounds_has_its_reason(
    one: Callable[[str], Schema], kind: str, raw: str, reason: Reason
) -> None:
    assert said(one(kind), raw) == reason


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_an_integer_is_accepted_exactly_when_an_int64_holds_it(value: int) -> None:
    schema = Schema((Field(name="a", type="int"),))
    expected = value if -INT64 <= value < INT64 else Reason.OUT_OF_RANGE
    assert said(schema, str(value)) == expected


@pytest.mark.parametrize(
    ("bound", "outside"),
    [
        ("minimum: 0.5", "0"),
        ("maximum: -0.5", "0"),
    ],
)
def test_a_fractional_bound_of_an_int_keeps_out_what_lies_beyond(
    one: Callable[[str], Schema], bound: str, outside: str
) -> None:
    assert said(one(f"int, {bound}"), outside) == Reason.OUT_OF_RANGE


@pytest.mark.parametrize("bound", ["exclusiveMinimum: -0.5", "exclusiveMaximum: 0.5"])
def test_a_fractional_bound_of_an_int_lets_in_what_it_includes(
    one: Callable[[str], Schema], bound: str
) -> None:
    assert said(one(f"int, {bound}"), "0") == 0


def test_only_the_event_time_has_a_minimum(one: Callable[[str], Schema]) -> None:
    with pytest.raises(SchemaError, match="only the event time, `timestamp`, has a minimum"):
        one('timestamp, minimum: "2000-01-01T00:00:00Z"')


def test_the_minimum_of_the_event_time_needs_an_offset(load: Callable[[str], Schema]) -> None:
    with pytest.raises(SchemaError, match="`timestamp`: minimum has no offset; add Z"):
        load("fields:\n- {name: timestamp, type: timestamp, minimum: 2000-01-01T00:00:00}\n")


@pytest.mark.parametrize("raw", ['{"a":null}', "{}"])
def test_an_optional_field_may_be_null_or_missing(one: Callable[[str], Schema], raw: str) -> None:
    assert read(raw.encode(), schema=one("int, minimum: 5")).a is None


def test_a_required_field_may_not_be_missing(one: Callable[[str], Schema]) -> None:
    assert read(b"{}", schema=one("int, required: true")).reason == Reason.MISSING_FIELD


def test_a_required_field_may_come_after_an_optional_one(load: Callable[[str], Schema]) -> None:
    schema = load("fields:\n- {name: b, type: int}\n- {name: a, type: int, required: true}\n")
    assert said(schema, "1") == 1


def test_the_order_of_fields_is_that_of_the_file(load: Callable[[str], Schema]) -> None:
    schema = load("fields:\n- {name: b, type: int}\n- {name: a, type: int, required: true}\n")
    assert [field.name for field in schema.fields] == ["b", "a"]


def test_a_schema_without_timestamp_has_no_event_time(one: Callable[[str], Schema]) -> None:
    assert one("int").event_time is None


def test_without_a_minimum_the_earliest_event_time_is_1970(load: Callable[[str], Schema]) -> None:
    assert load("fields:\n- {name: timestamp, type: timestamp}\n").earliest_ms == 0


# The built-in schema.


def test_the_built_in_schema_has_these_fields() -> None:
    assert {field.name: field.type for field in load_schema(None).fields} == {
        "source": "string",
        "target": "string",
        "amount": "double",
        "currency": "currency",
        "id": "string",
        "timestamp": "timestamp",
        "channel": "string",
        "merchant": "string",
        "country": "string",
        "device": "string",
        "ip": "string",
    }


def test_the_earliest_event_time_of_the_built_in_schema_is_the_year_2000() -> None:
    assert load_schema(None).earliest_ms == 946_684_800_000


@pytest.mark.parametrize("field", load_schema(None).fields, ids=lambda field: field.name)
def test_each_built_in_field_is_described_in_a_sentence(field: Field) -> None:
    assert field.description.endswith((".", "…"))


# What cannot be used: each is a SchemaError that begins with the file and the line.


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        load_schema(tmp_path / "none.yaml")
    assert (
        str(caught.value) == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"
    )


def test_a_folder_is_no_schema(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be read: Is a directory"):
        load_schema(tmp_path)


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_bytes(b"fields:\n- {name: \xff}")
    with pytest.raises(SchemaError, match=r"schema\.yaml:1: not UTF-8"):
        load_schema(tmp_path / "schema.yaml")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("fields: [\n", 2, "not YAML"),
        ("a: 1\nb: c: d\n", 2, "not YAML"),
        ("a: 1\n---\nb: 1\n", 3, "a second document"),
        ("fields: !!python/object:os.system x\n", 1, "not YAML"),
        ("- 1\n", 1, "no fields"),
        ("fields:\n", 1, "no fields"),
        ("Fields: [{name: a, type: int}]\n", 1, "no fields"),
    ],
)
def test_what_is_no_list_of_fields_names_its_place(
    load: Callable[[str], Schema], text: str, line: int, words: str
) -> None:
    with pytest.raises(SchemaError, match=rf"schema\.yaml:{line}: {words}"):
        load(text)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("text", "'text' is no type"),
        ("int, minimun: 5", "`minimun` is no key of a field; did you mean `minimum`?"),
        ('int, required: "yes"', "Expected `bool`"),
        ("int, minimum: [5]", "minimum"),
        ("int, minLength: 5", "`a`: minLength is no bound of a int; it has exclusiveMaximum,"),
        ("string, minimum: 5", "`a`: minimum is no bound of a string; it has enum,"),
        ("bool, enum: [x]", "`a`: enum is no bound of a bool; it has none"),
        ("currency, maxLength: 3", "`a`: maxLength is no bound of a currency; it has none"),
        ("timestamp, maximum: 5", "`a`: maximum is no bound of a timestamp; it has minimum"),
        ("string, enum: []", "length >= 1"),
        ("string, enum: [1]", "Expected `str`"),
        ("string, maxLength: 0", "maxLength"),
        ("timestamp, minimum: 2000-01-01", "minimum"),
        ("double, minimum: 1, exclusiveMinimum: 0", "both"),
        ("double, maximum: .inf", "finite"),
    ],
)
def test_a_mistake_in_a_field_is_said_with_its_line(
    one: Callable[[str], Schema], rest: str, words: str
) -> None:
    with pytest.raises(SchemaError, match=rf"schema\.yaml:2: .*{re.escape(words)}"):
        one(rest)


@pytest.mark.parametrize("name", ["_a", "Ä", "a.b", "a-b", '"a b"', '""', "A", '"a\\n"'])
def test_what_is_no_name_is_refused_with_an_example(
    load: Callable[[str], Schema], name: str
) -> None:
    with pytest.raises(SchemaError, match=r":2: `[^`]*` is no field name; use .* card_type"):
        load(f"fields:\n- {{name: {name}, type: int}}\n")


@pytest.mark.parametrize(
    "rest",
    [
        'double, minimum: "2000-01-01T00:00:00Z"',  # a time bounds a timestamp only
        "int, minimum: 2000-01-01T00:00:00Z",
        "int, maximum: .inf",
        "int, minimum: 18446744073709551616",
        "int, exclusiveMinimum: -18446744073709551616",
        "timestamp, minimum: .inf",
        "timestamp, minimum: 99999999999999999999",
    ],
)
def test_a_bound_that_its_type_cannot_have_is_a_schema_error(
    one: Callable[[str], Schema], rest: str
) -> None:
    with pytest.raises(SchemaError, match=r"schema\.yaml:2: "):
        one(rest)


@pytest.mark.parametrize(
    "rest",
    [
        "int, minimum: 5, maximum: 1",
        "double, minimum: 5, exclusiveMaximum: 5",
        "string, minLength: 5, maxLength: 1",
        "timestamp, minimum: 253402300800000",
    ],
)
def test_bounds_that_no_value_keeps_are_a_schema_error(
    one: Callable[[str], Schema], rest: str
) -> None:
    with pytest.raises(SchemaError, match=r"schema\.yaml:2: "):
        one(rest)


def test_a_day_that_does_not_exist_is_a_schema_error(one: Callable[[str], Schema]) -> None:
    with pytest.raises(SchemaError, match=r"schema\.yaml:"):
        one("timestamp, minimum: 2000-13-01T00:00:00Z")


def test_fields_listed_twice_are_a_schema_error(load: Callable[[str], Schema]) -> None:
    a, b = "- {name: a, type: int}\n", "- {name: b, type: int}\n"
    with pytest.raises(SchemaError, match=r"schema\.yaml:"):
        load(f"fields:\n{a}fields:\n{a}{b}")


def test_a_merged_list_of_fields_is_read_or_a_schema_error(load: Callable[[str], Schema]) -> None:
    text = "base: &base\n  fields:\n  - {name: a, type: int}\n<<: *base\n"
    try:
        names = [field.name for field in load(text).fields]
    except SchemaError:
        names = ["a"]
    assert names == ["a"]


def test_nesting_without_end_is_a_schema_error(load: Callable[[str], Schema]) -> None:
    with pytest.raises(SchemaError, match=r"schema\.yaml:"):
        load("[" * 5_000)


MONEY = "- {name: c, type: currency, required: true}\n"


@pytest.mark.parametrize(
    "bounds",
    ["minimum: 0, maximum: 1000", "exclusiveMinimum: -900000000000000, exclusiveMaximum: 9.0e+14"],
)
def test_a_double_with_its_currency_is_money(load: Callable[[str], Schema], bounds: str) -> None:
    schema = load(f"fields:\n{MONEY}- {{name: a, type: double, currency: c, {bounds}}}\n")
    assert schema.fields[1].currency == "c"


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("type: double, currency: c, minimum: 0", "`a` is money"),
        ("type: double, currency: c, maximum: 1000", "within ±9e+14"),
        ("type: double, currency: c, minimum: 0, maximum: 1.0e+15", "within ±9e+14"),
        ("type: double, currency: c, minimum: -1.0e+15, maximum: 0", "within ±9e+14"),
        ("type: double, currency: d, minimum: 0, maximum: 1", "no field `d` of type currency"),
        ("type: double, currency: b, minimum: 0, maximum: 1", "it has c"),
        ("type: int, currency: c", "currency is no bound of a int"),
    ],
)
def test_money_that_could_not_be_added_up_is_refused_with_its_line(
    load: Callable[[str], Schema], rest: str, words: str
) -> None:
    text = f"fields:\n{MONEY}- {{name: b, type: string}}\n- {{name: a, {rest}}}\n"
    with pytest.raises(SchemaError, match=rf"schema\.yaml:4: .*{re.escape(words)}"):
        load(text)
