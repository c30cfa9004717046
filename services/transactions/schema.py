"""The schema of transactions as data: a YAML file in, a decoder out."""

from __future__ import annotations

import keyword
import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.documents import Document, DocumentError, read_documents
from services.transactions.currencies import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable

FieldType = Literal["string", "double", "int", "bool", "timestamp", "currency"]

_DEFAULT_FILE = Path(__file__).with_name("schema.yaml")
_INT64 = 2**63
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# From the year 1 to the last millisecond of the year 9999, the ends of RFC 3339.
_EARLIEST_MS = -62_135_596_800_000
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
    minimum: float | int | str | None = None
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
        documents = list(read_documents(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SchemaError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{file}:1: not UTF-8: {error.reason}") from None
    except DocumentError as error:
        raise SchemaError(f"{file}:{error.line}: not YAML: {error}") from None
    if len(documents) > 1:
        raise SchemaError(f"{file}:{documents[1].line('$')}: a second document; a schema is one")
    document = documents[0] if documents else Document({}, {}, frozenset())
    entries = document.value.get("fields") if isinstance(document.value, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SchemaError(f"{file}:1: no fields; expected a list `fields:` with one entry a field")
    fields: list[Field] = []
    for i, entry in enumerate(entries):
        try:
            fields.append(_field(entry, {f.name for f in fields}))
        except (ValueError, OverflowError) as error:
            raise SchemaError(f"{file}:{document.line(f'$.fields[{i}]')}: {error}") from None
    return Schema(tuple(fields))


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
    _refuse_impossible(field)
    _struct_field(field)
    return field


def _refuse_impossible(field: Field) -> None:
    """Refuse bounds that no value meets, or that would not be looked at.

    Raises:
        ValueError: with what was found and what to do, for people.

    """
    if field.type == "timestamp" and field.minimum is not None and field.name != "timestamp":
        raise ValueError(f"`{field.name}`: only the event time, `timestamp`, has a minimum")
    if field.minimum is not None and field.exclusive_minimum is not None:
        raise ValueError(f"`{field.name}`: both minimum and exclusiveMinimum; give one of them")
    if field.maximum is not None and field.exclusive_maximum is not None:
        raise ValueError(f"`{field.name}`: both maximum and exclusiveMaximum; give one of them")
    if (field.min_length or 0) > (field.max_length or math.inf):
        raise ValueError(f"`{field.name}`: minLength is above maxLength, so no text fits")
    if field.type == "int":
        bounds = _int64_bounds(field)
        if bounds["ge"] > bounds["le"]:
            raise ValueError(f"`{field.name}`: no whole number fits its bounds")
    if field.type == "double":
        low = max(_numbers(field.minimum, field.exclusive_minimum), default=-math.inf)
        high = min(_numbers(field.maximum, field.exclusive_maximum), default=math.inf)
        open_ends = {field.exclusive_minimum, field.exclusive_maximum} & {low, high}
        if low > high or (low == high and open_ends) or not low < math.inf or not high > -math.inf:
            raise ValueError(f"`{field.name}`: no number fits its bounds")


def _numbers(*bounds: float | str | None) -> list[float]:
    return [_number(bound) for bound in bounds if bound is not None]


def _number(bound: float | str) -> float:
    if isinstance(bound, str) or math.isnan(bound):
        raise ValueError(f"the bound {bound!r} is no number")
    return bound


def _struct_field(field: Field) -> tuple[str, Any] | tuple[str, Any, None]:
    kind = _type(field)
    return (field.name, kind) if field.required else (field.name, kind | None, None)


def _type(field: Field) -> Any:  # noqa: ANN401 - a type
    """The type that msgspec decodes a field as. All checks are C."""
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
            return Annotated[float, _meta(_double_bounds(field))]
        case "int":
            return Annotated[int, _meta(_int64_bounds(field))]
        case "timestamp":
            aware = Annotated[datetime, Meta(tz=True)]
            return Annotated[int, Meta(ge=_earliest_ms(field), le=_LATEST_MS)] | aware


def _meta(bounds: dict[str, Any]) -> Meta:
    return Meta(**bounds)


def _double_bounds(field: Field) -> dict[str, float]:
    bounds = {
        "ge": field.minimum,
        "le": field.maximum,
        "gt": field.exclusive_minimum,
        "lt": field.exclusive_maximum,
    }
    return {name: float(_number(bound)) for name, bound in bounds.items() if bound is not None}


def _int64_bounds(field: Field) -> dict[str, int]:
    """The whole numbers between the bounds, inside what CEL's int holds."""
    lows = [math.ceil(b) for b in _numbers(field.minimum)]
    lows += [math.floor(b) + 1 for b in _numbers(field.exclusive_minimum)]
    highs = [math.floor(b) for b in _numbers(field.maximum)]
    highs += [math.ceil(b) - 1 for b in _numbers(field.exclusive_maximum)]
    low, high = max([*lows, -_INT64]), min([*highs, _INT64 - 1])
    if any(not -_INT64 <= bound < _INT64 for bound in (*lows, *highs)):
        raise ValueError(f"`{field.name}`: a bound is outside the 64 bits of an int")
    return {"ge": low, "le": high}


def _earliest_ms(field: Field) -> int:
    """The earliest event time allowed, in epoch milliseconds."""
    if field.minimum is None:
        return 0 if field.name == "timestamp" else _EARLIEST_MS
    earliest: float
    if isinstance(field.minimum, str):
        at = datetime.fromisoformat(field.minimum)
        if at.tzinfo is None:
            raise ValueError(f"`{field.name}`: minimum has no offset; add Z")
        earliest = (at - _EPOCH) // timedelta(milliseconds=1)
    else:
        earliest = _number(field.minimum)
    if not _EARLIEST_MS <= earliest <= _LATEST_MS:
        raise ValueError(f"`{field.name}`: minimum is not between the years 1 and 9999")
    return math.ceil(earliest)
