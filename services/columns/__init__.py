"""Batches as columns: one a field of the schema, filled by a decoder of the records' format.

For example:

    decoder = JsonDecoder(schema)
    columns = decoder.decode(values)
    times_ms, in_future = event_times(schema, columns, record_ms, max_future_ms)
    amounts = columns.by_path["amount"].values[columns.accepted]

Only the decoder knows JSON; a decoder of another format fills the same columns.
`prepare` compiles the kernel, or loads it, before the stream begins.
"""

from services.columns.columns import (
    Booleans,
    Codes,
    Column,
    Columns,
    Doubles,
    Texts,
    Times,
    Whole,
    joined,
)
from services.columns.decoding import Decoder, JsonDecoder, prepare
from services.columns.event_time import event_times, set_event_times
from services.columns.kernel import Table
from services.columns.plan import CURRENCIES, Kind, Place, places_of

__all__ = [
    "CURRENCIES",
    "Booleans",
    "Codes",
    "Column",
    "Columns",
    "Decoder",
    "Doubles",
    "JsonDecoder",
    "Kind",
    "Place",
    "Table",
    "Texts",
    "Times",
    "Whole",
    "event_times",
    "joined",
    "places_of",
    "prepare",
    "set_event_times",
]
