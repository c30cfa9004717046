"""The schema of transactions as data: a YAML file in, a decoder out."""

from __future__ import annotations

import keyword
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from services.transactions.currencies import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable

FieldType = Literal["string", "double", "int", "bool", "timestamp", "currency"]

_DEFAULT_FILE = Path(__file__).with_name("schema.yaml")
_INT64 = 2**63
# The last millisecond of the year 9999, the end of RFC 3339.
_LATEST_MS = 253_402_300_799_999
# Words that a rule's expression cannot have as a name (CEL specification, "Reserved").
_CEL_WORDS = {
    *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"),
    *("let", "loop", "null", "package", "namespace", "return", "true", "var", "void", "while"),
}
_BOUNDS: dict[str, set[str]] = {
    "string": {"minLength", "maxLength", "enum"},
    "double": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "int": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "timestamp": {"minimum"},
    "bool": set(),
    "currency": set(),
}


class SchemaError(Exception):
    """A schema cannot be used; the text names the place, what was found, and the mend."""


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """One field of the transaction, and its bounds."""

    name: str
    type: FieldType
    required: bool = False
    description: str = ""
    min_length: Annotated[int, Meta(ge=0)] | None = None
    max_length: Annotated[int, Meta(ge=1)] | None = None
    enum: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    minimum: float | int | datetime | None = None
    maximum: float | int | None = None
    exclusive_minimum: float | int | None = None
    exclusive_maximum: float | int | None = None


class Schema:
    """A transaction's fields, and the decoder that they make.

    `decode` is msgspec's own, with no Python around it: bytes in, a struct with
    an attribute a field out (None where an optional one is missing or null);
    it raises what `refuse` explains. 270 ns for the default schema. Fields
    that are not listed are skipped, and not looked into.
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.struct: type[msgspec.Struct] = msgspec.defstruct(
            "Transaction",
            [_struct_field(field) for field in sorted(fields, key=lambda f: not f.required)],
            gc=False,
        )
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(self.struct).decode
        event_time = next((f for f in fields if f.name == "timestamp"), None)
        self.has_event_time = event_time is not None
        self.earliest_ms = _earliest_ms(event_time) if event_time else 0

    def fingerprint(self) -> bytes:
        """Equal for equal schemas."""
        return msgspec.json.encode(self.fields)


def load_schema(path: Path | None) -> Schema:
    """Load a schema from a file, or the built-in one.

    Raises:
        SchemaError: there is no such file, or it is no schema.

    """
    file = path or _DEFAULT_FILE
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except OSError as error:
        raise SchemaError(f"{file}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise SchemaError(f"{file}:{line}: not YAML: {getattr(error, 'problem', error)}") from None
    entries = value.get("fields") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SchemaError(f"{file}:1: no fields; expected a list `fields:` with one entry a field")
    lines = _entry_lines(node)
    fields: list[Field] = []
    for entry, line in zip(entries, lines, strict=True):
        try:
            fields.append(_field(entry, {f.name for f in fields}))
        except ValueError as error:
            raise SchemaError(f"{file}:{line}: {error}") from None
    return Schema(tuple(fields))


def _entry_lines(node: Any) -> list[int]:  # noqa: ANN401 - a YAML node that is known to fit
    entries = next(child for key, child in node.value if key.value == "fields")
    return [entry.start_mark.line + 1 for entry in entries.value]


def _field(entry: Any, earlier: set[str]) -> Field:  # noqa: ANN401 - any YAML value
    """Read one entry.

    Raises:
        ValueError: with what was found and what to do, for people.

    """
    field = msgspec.convert(entry, Field)
    if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", field.name):
        raise ValueError(
            f"`{field.name}` is no field name; use letters, digits and _, as in card_type"
        )
    if field.name in _CEL_WORDS or keyword.iskeyword(field.name):
        raise ValueError(f"`{field.name}` is a word of the rule language; choose another name")
    if field.name in earlier:
        raise ValueError(f"`{field.name}` is there already; a field is listed once")
    if field.name == "timestamp" and (field.type != "timestamp" or field.required):
        raise ValueError("`timestamp` is the event time: its type is timestamp, and it is optional")
    if field.name == "id" and (field.type != "string" or field.required):
        raise ValueError("`id` is the transaction's name: its type is string, and it is optional")
    given = set(entry) - {"name", "type", "required", "description"}
    if wrong := sorted(given - _BOUNDS[field.type]):
        known = ", ".join(sorted(_BOUNDS[field.type])) or "none"
        raise ValueError(
            f"`{field.name}`: {wrong[0]} is no bound of a {field.type}; it has {known}"
        )
    _struct_field(field)
    return field


def _struct_field(field: Field) -> tuple[str, Any] | tuple[str, Any, None]:
    kind = _type(field)
    return (field.name, kind) if field.required else (field.name, kind | None, None)


def _type(field: Field) -> Any:  # noqa: ANN401 - a type
    """The type that msgspec decodes a field as. All checks are C."""
    bounds = {
        "ge": field.minimum,
        "le": field.maximum,
        "gt": field.exclusive_minimum,
        "lt": field.exclusive_maximum,
    }
    given: dict[str, Any] = {name: b for name, b in bounds.items() if b is not None}
    match field.type:
        case "string" if field.enum:
            return Literal[field.enum]
        case "string":
            return Annotated[str, Meta(min_length=field.min_length, max_length=field.max_length)]
        case "currency":
            return Literal[tuple(DECIMALS)]  # a look-up; a pattern would cost more than the rest
        case "bool":
            return bool
        case "double":
            return Annotated[float, _meta({k: float(v) for k, v in given.items()})]
        case "int":
            return Annotated[int, _meta(_int64_bounds(given))]
        case "timestamp":
            aware = Annotated[datetime, Meta(tz=True)]
            return Annotated[int, Meta(ge=_earliest_ms(field), le=_LATEST_MS)] | aware


def _meta(bounds: dict[str, Any]) -> Meta:
    return Meta(**bounds)


def _int64_bounds(given: dict[str, Any]) -> dict[str, int]:
    """Whole bounds, inside what CEL's int holds."""
    bounds = {name: int(bound) for name, bound in given.items()}
    if "gt" not in bounds:
        bounds.setdefault("ge", -_INT64)
    if "lt" not in bounds:
        bounds.setdefault("le", _INT64 - 1)
    return bounds


def _earliest_ms(field: Field) -> int:
    if field.minimum is None:
        return 0
    if isinstance(field.minimum, datetime):
        if field.minimum.tzinfo is None:
            raise ValueError(f"`{field.name}`: minimum has no offset; add Z")
        epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        return (field.minimum - epoch) // timedelta(milliseconds=1)
    return int(field.minimum)
