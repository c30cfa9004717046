"""What the input topic is keyed by, as a setting names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.transactions import Schema

DEFAULT_KEY = "source"
NO_KEY = "none"


def complaint_of_key(schema: Schema, keyed_by: str) -> str:
    """Say what is wrong with a KEYED_BY for a schema; "" where nothing is.

    The default need not be a field: with a schema that has none of its name,
    rules without windows are as good as ever, and others are told of the setting.
    """
    names = [field.name for field in schema.fields]
    if keyed_by in {*names, NO_KEY, DEFAULT_KEY}:
        return ""
    return f"the schema has no field {keyed_by!r}; name one of {', '.join(names)}, or {NO_KEY}"
