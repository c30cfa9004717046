"""Reads a value as the detector does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.transactions import Rejection, Schema, load_schema, reject, settle_event_times

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = load_schema(None)
MAX_FUTURE_MS = 300_000
RECORD_MS = 1_750_000_000_123


def read(value: bytes | None, record_ms: int = RECORD_MS, schema: Schema = SCHEMA) -> Any:
    """Give the struct of a value, or its refusal."""
    decode: Any = schema.decode  # a tombstone's None is for it to refuse
    try:
        transaction = decode(value)
    except Exception as error:  # noqa: BLE001 - what comes is what is tested
        return reject(schema, value, error)
    rejected = settle_event_times(schema, [transaction], [record_ms], MAX_FUTURE_MS)
    return rejected[0][1] if rejected else transaction


def reason(value: bytes | None, record_ms: int = RECORD_MS, schema: Schema = SCHEMA) -> str | None:
    """Give the reason that a value is refused for, None where it is accepted."""
    found = read(value, record_ms, schema)
    return found.reason if isinstance(found, Rejection) else None


def schema_of(folder: Path, text: str) -> Schema:
    """Load a schema from a file with this text."""
    file = folder / "schema.yaml"
    file.write_text(text, encoding="utf-8")
    return load_schema(file)
