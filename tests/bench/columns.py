"""Decoding a batch: columns against msgspec's structs, ns a record, in one process.

    python -m tests.bench.columns

Both read the same records in alternating rounds; each figure is the median of
the rounds, in CPU time of the thread, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from services.columns import JsonDecoder
from services.transactions import Field, Schema, load_schema
from tests.bench.recurring import Recurring

if TYPE_CHECKING:
    from collections.abc import Callable

    Batches = list[list[bytes]]

RECORDS = 100_000
ROUNDS = 9
START_MS = 1_790_000_000_000

OWN = Schema(
    (
        Field(name="payer", type="string", required=True, min_length=3),
        Field(name="cents", type="int", required=True, minimum=1),
        Field(name="trusted", type="bool"),
        Field(name="kind", type="string", enum=("card", "cash", "transfer")),
        Field(name="booked", type="timestamp"),
    )
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.columns", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    sys.stdout.write(
        "| records | a batch | msgspec's structs, ns | columns, ns | ratio | one by one |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
    )
    for name, schema, values in loads(arguments.records):
        sizes = (2_000, 200, 20) if name == "built-in schema" else (2_000,)
        for size in sizes:
            sys.stdout.write(row(name, schema, values, size, arguments.rounds))
            sys.stdout.flush()


def loads(records: int) -> list[tuple[str, Schema, list[bytes]]]:
    """Records of several looks, each with its schema."""
    built_in = load_schema(None)
    plain = [sent.value for sent in Recurring(records, records).make(START_MS)]
    more = [
        value[:-1] + b',"session":"%x","geo":{"lat":52.5,"lon":13.4,"tags":["a","b"]}}' % i
        for i, value in enumerate(plain)
    ]
    spread = [json.dumps(json.loads(value), ensure_ascii=False).encode() for value in plain]
    umlauts = [v[:-1] + ',"merchant":"Müller & Söhne, Köln","ip":null}'.encode() for v in plain]
    escapes = [value[:-1] + rb',"merchant":"M\u00fcller \"am Dom\""}' for value in plain]
    twice = [
        value[:-1] + b',"amount":5}' if i % 10 == 0 else value for i, value in enumerate(plain)
    ]
    own = [
        b'{"payer":"%012d","cents":%d,"trusted":%b,"kind":"cash","booked":"2026-01-%02dT12:00:00Z"}'
        % (i, i % 90_000 + 1, b"true" if i % 2 else b"false", i % 28 + 1)
        for i in range(records)
    ]
    return [
        ("built-in schema", built_in, plain),
        ("with blanks after , and :", built_in, spread),
        ("with 2 fields not listed, one nested", built_in, more),
        ("with UTF-8 and null", built_in, umlauts),
        ("with escapes", built_in, escapes),
        ("an amount twice in one of ten", built_in, twice),
        ("a team's own schema, RFC 3339", OWN, own),
    ]


def row(name: str, schema: Schema, values: list[bytes], size: int, rounds: int) -> str:
    """One row of the table."""
    batches = [values[i : i + size] for i in range(0, len(values), size)]
    decoder = JsonDecoder(schema)
    one_by_one = sum(decoder.decode(batch).one_by_one for batch in batches)
    structs, columns = [], []
    for _ in range(rounds):
        structs.append(ns_a_record(lambda batch: list(map(schema.decode, batch)), batches))
        columns.append(ns_a_record(decoder.decode, batches))
    ratio = statistics.median(columns) / statistics.median(structs)
    return (
        f"| {name} | {size} | {_figure(structs)} | {_figure(columns)} | {ratio:.2f} "
        f"| {one_by_one / len(values):.1%} |\n"
    )


def ns_a_record(decode: Callable[[list[bytes]], Any], batches: Batches) -> float:
    """CPU time of this thread."""
    began = time.thread_time_ns()
    for batch in batches:
        decode(batch)
    return (time.thread_time_ns() - began) / sum(map(len, batches))


def _figure(rounds: list[float]) -> str:
    return f"{statistics.median(rounds):.0f} ({min(rounds):.0f} to {max(rounds):.0f})"


if __name__ == "__main__":
    main()
