"""The transaction: its schema, how it is decoded, and what is refused and why.

For example:

    schema = load_schema(None)
    transactions = list(map(schema.decode, values))
    refused = settle_event_times(schema, transactions, timestamps_ms, max_future_ms)
"""

from services.transactions.event_time import settle_event_times
from services.transactions.fields import Field
from services.transactions.refusals import Reason, Refusal, printable, refuse
from services.transactions.schema import Schema, SchemaError, load_schema

__all__ = [
    "Field",
    "Reason",
    "Refusal",
    "Schema",
    "SchemaError",
    "load_schema",
    "printable",
    "refuse",
    "settle_event_times",
]
