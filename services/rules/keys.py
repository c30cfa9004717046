"""The field that the input topic is keyed by, as a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.transactions import Schema

DEFAULT_KEY = "source"
NO_KEY = "none"


def complaint_of_key(schema: Schema, keyed_by: str) -> str:
    """Return the problem of a KEYED_BY for a schema; "" if there is none.

    The default need not be a field: with a schema without such a field, rules without
    windows work as usual, and rules with windows get a message about the setting.
    """
    names = [field.name for field in schema.fields]
    if keyed_by in {*names, NO_KEY, DEFAULT_KEY}:
        return ""
    return f"the schema has no field {keyed_by!r}; name one of {', '.join(names)}, or {NO_KEY}"
