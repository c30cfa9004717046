"""The field tables of docs/rules.md, generated from the model as the resource's schema is.

`python -m tools.shipped.reference` rewrites the text between `<!-- fields -->` and
`<!-- /fields -->`; a test fails if it differs from the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from services.rules.model import Metadata
from tools.shipped.resource_definition import schema
from tools.shipped.validations import VALIDATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"
BEGIN, END = "<!-- fields -->", "<!-- /fields -->"

_HEAD = "| field | type | default | bounds | meaning |\n| --- | --- | --- | --- | --- |\n"
_TYPES = {"string": "text", "integer": "integer", "array": "list", "object": "object"}


def rewrite(text: str) -> str:
    """Replace the tables between the markers of a document by the current ones.

    Raises:
        ValueError: The document does not have each marker once, in order.

    """
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not end or BEGIN in old + after or END in after:
        raise ValueError(f"expected one {BEGIN} and one {END} after it; put them around the tables")
    return f"{before}{begin}\n{tables()}{end}{after}"


def tables() -> str:
    """Generate the tables: the fields of a rule, constraints between them, and the status."""
    _, definitions = msgspec.json.schema_components([Metadata])
    root = schema()["properties"]
    written = [*_rows("metadata", definitions["Metadata"]), *_rows("spec", root["spec"])]
    return (
        f"{_HEAD}{''.join(written)}\n"
        f"Rejected because of several fields:\n\n{''.join(_validations())}\n"
        f"The status, which the operator writes:\n\n"
        f"{_HEAD}{''.join(_rows('status', root['status']))}"
    )


def _validations() -> Iterator[str]:
    for validation in VALIDATIONS:
        field = f"{validation.node}{validation.field_path}".lstrip(".")
        yield f"- `{field}`: {validation.message}.\n"


def _rows(path: str, node: dict[str, Any]) -> Iterator[str]:
    """Generate the rows of an object's fields and of the fields below them."""
    for name, field in node.get("properties", {}).items():
        yield _row(f"{path}.{name}", field, required=name in node.get("required", []))
        yield from _rows(f"{path}.{name}", field)
        yield from _rows(f"{path}.{name}[]", field.get("items", {}))


def _row(path: str, field: dict[str, Any], *, required: bool) -> str:
    default = f"`{field['default']}`" if "default" in field else ""
    cells = (
        f"`{path}`",
        _TYPES[field["type"]],
        "required" if required else default,
        ", ".join(_bounds(field)),
        field["description"],
    )
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"


def _bounds(field: dict[str, Any]) -> Iterator[str]:
    if "enum" in field:
        yield ", ".join(f"`{choice}`" for choice in field["enum"])
    if "minLength" in field:
        yield f"{field['minLength']} to {field['maxLength']} characters"
    elif "maxLength" in field:
        yield f"at most {field['maxLength']} characters"
    if "minimum" in field:
        yield (
            f"{field['minimum']} to {field['maximum']}"
            if "maximum" in field
            else (f"at least {field['minimum']}")
        )
    if "maxItems" in field:
        yield f"at most {field['maxItems']} entries"
    if "maxProperties" in field:
        yield f"at most {field['maxProperties']} fields"
    if "pattern" in field:
        yield f"`{field['pattern']}`"
    if field.get("format") == "date-time":
        yield "RFC 3339"


if __name__ == "__main__":
    DOCUMENT.write_text(rewrite(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
