"""The schema of transactions: from a YAML file to a decoder."""

from __future__ import annotations

import difflib
import keyword
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from services.documents import Document, DocumentError, read_documents
from services.errors import UserError
from services.transactions.fields import (
    Field,
    decoded_type,
    earliest_ms,
    int64_bounds,
    numbers,
)
from services.yaml_scalars import plain_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from services.yaml_scalars import Scalar

_DEFAULT_FILE = Path(__file__).with_name("schema.yaml")
# Words that cannot be names in a rule's expression (CEL specification, "Reserved").
_CEL_WORDS = {
    *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"),
    *("let", "loop", "null", "package", "namespace", "return", "true", "var", "void", "while"),
}
_BOUNDS: dict[str, set[str]] = {
    "string": {"minLength", "maxLength", "enum"},
    "double": {"currency", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "int": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "timestamp": {"minimum"},
    "bool": set(),
    "currency": set(),
}
# With the largest number of decimals of a minor unit, four, an int64 can hold it.
_MOST_MONEY = 9e14
_KEYS = [field.encode_name for field in msgspec.structs.fields(Field)]


class SchemaError(UserError):
    """A schema cannot be used; the text has the place, what was found, and a hint."""


class Schema:
    """A transaction's fields, and the decoder for them.

    `decode` is msgspec's own, without Python code around it. It converts bytes to a struct with
    an attribute for each field (None if an optional one is missing or null), and raises
    exceptions that `reject` explains. 270 ns for the default schema.

    A field that is not in the schema is skipped: its syntax is read, but its content is not
    checked. Its texts and its name may be invalid UTF-8, its numbers may fit no type. The
    bytes are forwarded unchanged, so a transaction is valid JSON only as far as the fields of
    the schema go. The nesting depth of such a field is limited by the interpreter
    (Python 3.11: 1000 minus the stack, 3.13: about 10,000); deeper values raise
    RecursionError.
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.struct: type[msgspec.Struct] = msgspec.defstruct(
            "Transaction",
            [_struct_field(field) for field in sorted(fields, key=lambda f: not f.required)],
            gc=False,
        )
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(self.struct).decode
        # For messages about a rejected value: the JSON of each field, not decoded.
        unread = [(field.name, msgspec.Raw, msgspec.Raw()) for field in fields]
        raw = msgspec.defstruct("RawTransaction", unread)
        self.decode_raw: Callable[[bytes], Any] = msgspec.json.Decoder(raw).decode
        self.event_time: Field | None = next((f for f in fields if f.name == "timestamp"), None)
        self.earliest_ms = earliest_ms(self.event_time) if self.event_time else 0
        self.money = next(((f.currency, f.name) for f in fields if f.currency), None)
        """The fields for the amount of a transaction: currency and amount of the first money."""

    def fingerprint(self) -> bytes:
        """Equal for schemas that accept the same transactions; descriptions do not count."""
        fields = sorted(self.fields, key=lambda field: field.name)
        return msgspec.json.encode([msgspec.structs.replace(f, description="") for f in fields])


def load_schema(path: Path | None) -> Schema:
    """Load a schema from a file, or the built-in one.

    Raises:
        SchemaError: The file does not exist, or it is not a schema.

    """
    file = path or _DEFAULT_FILE
    try:
        documents = list(read_documents(file.read_text(encoding="utf-8"), _plain_value))
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
            fields.append(_field(entry, [f.name for f in fields]))
        except (ValueError, OverflowError) as error:
            raise SchemaError(f"{file}:{document.line(f'$.fields[{i}]')}: {error}") from None
    for i, field in enumerate(fields):
        if complaint := _complaint_of_money(field, fields):
            line = document.line(f"$.fields[{i}]")
            raise SchemaError(f"{file}:{line}: `{field.name}`{complaint}")
    return Schema(tuple(fields))


def _plain_value(text: str) -> Scalar:
    """Read y and n as text, as in `enum: [Y, N]`: kubectl never reads a schema."""
    return text if text in {"y", "Y", "n", "N"} else plain_value(text)


def _complaint_of_money(field: Field, fields: Iterable[Field]) -> str:
    """Return the problem of a field that has a currency; "" if there is none."""
    if field.currency is None:
        return ""
    currencies = [other.name for other in fields if other.type == "currency"]
    if field.currency not in currencies:
        known = f"it has {', '.join(currencies)}" if currencies else "it has none"
        return f": the schema has no field `{field.currency}` of type currency; {known}"
    if not _fits_minor_units(field):
        return (
            " is money, and is added up in whole minor units: give it a minimum and a maximum "
            f"within ±{_MOST_MONEY:.0e}"
        )
    return ""


def _fits_minor_units(field: Field) -> bool:
    lows = numbers(field.minimum, field.exclusive_minimum)
    highs = numbers(field.maximum, field.exclusive_maximum)
    return bool(lows and highs) and min(lows) >= -_MOST_MONEY and max(highs) <= _MOST_MONEY


def _field(entry: Any, earlier: list[str]) -> Field:  # noqa: ANN401 - any YAML value
    """Read one entry.

    Raises:
        ValueError: With the value that was found and a hint, for people.

    """
    _check_words(entry)
    field = msgspec.convert(entry, Field)
    if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", field.name):
        raise ValueError(
            f"`{field.name}` is no field name; use letters, digits and _, as in card_type"
        )
    if field.name in _CEL_WORDS or keyword.iskeyword(field.name):
        raise ValueError(f"`{field.name}` is a word of the rule language; choose another name")
    for name in earlier:
        # They look alike to a reader, and protobuf, on which CEL's types are based, rejects some.
        if _plain(name) == _plain(field.name):
            raise ValueError(f"`{field.name}` is there already, as `{name}`; choose another name")
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
    _reject_impossible(field)
    _struct_field(field)
    return field


def _check_words(entry: Any) -> None:  # noqa: ANN401 - any YAML value
    """Reject unknown keys and types, with a list of the known ones.

    Raises:
        ValueError: With the value that was found and a hint, for people.

    """
    if not isinstance(entry, dict):
        return
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"`{key}` is no key of a field; {_known(key, _KEYS)}")
    if "type" in entry and str(entry["type"]) not in _BOUNDS:
        raise ValueError(f"{entry['type']!r} is no type; {_known(entry['type'], _BOUNDS)}")


def _known(found: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(found), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"expected one of {', '.join(known)}"


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def _reject_impossible(field: Field) -> None:
    """Reject bounds that no value meets, or that would have no effect.

    Raises:
        ValueError: With the value that was found and a hint, for people.

    """
    if field.type == "timestamp" and field.minimum is not None and field.name != "timestamp":
        raise ValueError(f"`{field.name}`: only the event time, `timestamp`, has a minimum")
    if field.minimum is not None and field.exclusive_minimum is not None:
        raise ValueError(f"`{field.name}`: both minimum and exclusiveMinimum; give one of them")
    if field.maximum is not None and field.exclusive_maximum is not None:
        raise ValueError(f"`{field.name}`: both maximum and exclusiveMaximum; give one of them")
    if field.enum and (field.min_length, field.max_length) != (None, None):
        raise ValueError(f"`{field.name}`: an enum has no length; leave the length out")
    if (field.min_length or 0) > (field.max_length or math.inf):
        raise ValueError(f"`{field.name}`: minLength is above maxLength, so no text fits")
    if field.type == "int":
        bounds = int64_bounds(field)
        if bounds["ge"] > bounds["le"]:
            raise ValueError(f"`{field.name}`: no whole number fits its bounds")
    if field.type == "double":
        low = max(numbers(field.minimum, field.exclusive_minimum), default=-math.inf)
        high = min(numbers(field.maximum, field.exclusive_maximum), default=math.inf)
        open_ends = {field.exclusive_minimum, field.exclusive_maximum} & {low, high}
        if low > high or (low == high and open_ends) or not low < math.inf or not high > -math.inf:
            raise ValueError(f"`{field.name}`: no number fits its bounds")


def _struct_field(field: Field) -> tuple[str, Any] | tuple[str, Any, None]:
    kind = decoded_type(field)
    return (field.name, kind) if field.required else (field.name, kind | None, None)
