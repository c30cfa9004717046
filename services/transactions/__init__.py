"""The transaction: its schema, its decoding, and the reasons for rejections.

For example:

    schema = load_schema(None)
    transactions = list(map(schema.decode, values))
    rejected = settle_event_times(schema, transactions, timestamps_ms, max_future_ms)
"""

from services.transactions.event_time import in_future, settle_event_times, too_old
from services.transactions.fields import Field
from services.transactions.rejections import Reason, Rejection, printable, reject
from services.transactions.schema import Schema, SchemaError, load_schema

__all__ = [
    "Field",
    "Reason",
    "Rejection",
    "Schema",
    "SchemaError",
    "in_future",
    "load_schema",
    "printable",
    "reject",
    "settle_event_times",
    "too_old",
]
