"""Random conditions, and batches with odd values, both from a seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from services.columns import (
    Columns,
    Doubles,
    JsonDecoder,
    Whole,
    set_event_times,
)
from services.rules import RuleError
from services.rules.expressions import NOTHING, Environment, Expression
from services.transactions import Field, Schema
from tests.rules.expressions import (
    DOUBLES,
    INTS,
    TEXTS,
    TIMES_MS,
    ExpressionSource,
    random_transaction,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from cel_expr_python import cel

VARIABLES = {"total": "int", "usual": "double"}
"""Values of windows that conditions read, by name."""
NUMBERS = {name: number for number, name in enumerate(VARIABLES)}

_ODD = (math.nan, math.inf, -math.inf, -0.0, 2.0**63, -(2.0**63), 2.0**62 + 1024, 5e-324)
# Times with an offset, which are outside of UTC's years or just within.
_OUTSIDE = (
    *("0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    "9999-12-31T23:59:59-10:00",
)
_GARBAGE = (None, b"", b"{", b'{"source": 5}', b'{"amount": 1}', b"[]")


class Conditions(ExpressionSource):
    """Conditions that read values of windows too, and join texts less often."""

    def _leaf(self, kind: str) -> str:
        names = [name for name, each in VARIABLES.items() if each == kind]
        if names and self._random.random() < 0.2:
            return self._random.choice(names)
        return super()._leaf(kind)

    def _usual_strings(self) -> tuple[Callable[[int], str], ...]:
        leaf, choice = (lambda _: self._leaf("string")), (lambda d: self._ternary("string", d))
        return (leaf, leaf, leaf, leaf, choice, choice, *super()._usual_strings()[:1])

    def _usual_bools(self) -> tuple[Callable[[int], str], ...]:
        return (
            *super()._usual_bools(),
            self._binary("timestamp", "<", "<=", ">", ">=", "==", "!="),
            self._long_list,
        )

    def _usual_ints(self) -> tuple[Callable[[int], str], ...]:
        return (*super()._usual_ints(), self._form("int({})", "double"))

    def _long_list(self, depth: int) -> str:
        kind = self._random.choice(("int", "string", "double"))
        elements = ", ".join(self._literal(kind) for _ in range(self._random.randint(5, 12)))
        return f"({self._make(kind, depth)} in [{elements}])"

    def _event_time(self, depth: int) -> str:
        if self._random.random() < 0.4:
            return self._other_time(depth)
        return super()._event_time(depth)


class Batch(NamedTuple):
    """A decoded batch, its windows' values, and what the evaluator reads for each accepted row."""

    columns: Columns
    values: Sequence[Doubles | Whole]
    activations: Mapping[int, cel.Activation]


class Batches:
    """Batches of one schema.

    Args:
        schema: The fields of `tests.rules.expressions.SCHEMA`, in any order.
        plain: The same fields, all texts without an enumeration.
        random: Source of chance.

    """

    def __init__(self, schema: Schema, plain: Schema, random: Random) -> None:
        self.schema, self._plain, self._random = schema, plain, random
        self.environment = Environment(schema)
        self._decoder = JsonDecoder(schema)
        self._enums = {field.name: field.enum for field in schema.fields if field.enum}

    def condition(self, source: Conditions) -> Expression:
        """The next condition that the checker takes."""
        while True:
            try:
                return self.environment.compile(source.condition(), variables=VARIABLES)
            except RuleError as error:  # a constant part that always fails
                if not all("fails on every transaction" in p.message for p in error.problems):
                    raise

    def batch(self, n: int) -> Batch:
        """A batch of n records, of which a few are rejected."""
        rng = self._random
        transactions: dict[int, Any] = {}
        records: list[bytes | None] = []
        for row in range(n):
            if rng.random() < 0.03:
                records.append(rng.choice(_GARBAGE))
                continue
            values = self._values()
            transactions[row] = self.schema.decode(msgspec.json.encode(values))
            for settled in ("id", "timestamp"):  # the transaction has what the record lacks
                if rng.random() < 0.1:
                    del values[settled]
            records.append(msgspec.json.encode(values))
        columns = self._decoder.decode(records)
        assert set(np.flatnonzero(columns.accepted).tolist()) == set(transactions)
        columns = self._settled(columns, transactions)
        self._overwrite(columns, transactions)
        windows: list[Doubles | Whole] = [self._totals(n), self._usuals(n)]
        return Batch(columns, windows, self._activations(transactions, windows))

    def _settled(self, columns: Columns, transactions: Mapping[int, Any]) -> Columns:
        """Fill in ids and event times, as a reader does."""
        times = np.zeros(len(columns), np.int64)
        for row, transaction in transactions.items():
            times[row] = transaction.timestamp
        set_event_times(self.schema, columns, times)
        missing = columns.accepted & ~columns.by_path["id"].valid
        names = {row: transactions[row].id for row in np.flatnonzero(missing).tolist()}
        return columns.with_texts("id", names) if names else columns

    def _values(self) -> dict[str, Any]:
        """Fields of a transaction, with `id` and the event time."""
        found = msgspec.to_builtins(random_transaction(self._plain, self._random))
        values = {name: value for name, value in found.items() if value is not None}
        values |= {
            name: self._random.choice(e) for name, e in self._enums.items() if name in values
        }
        if self._random.random() < 0.2:
            values["timestamp"] = self._random.choice(TIMES_MS)
        if self._random.random() < 0.1:
            values["settled"] = self._random.choice(_OUTSIDE)
        return values

    def _overwrite(self, columns: Columns, transactions: Mapping[int, Any]) -> None:
        """Replace some doubles by what JSON cannot write."""
        for path in ("amount", "fee"):
            column = columns.by_path[path]
            assert isinstance(column, Doubles)
            for row in transactions:
                if column.valid[row] and self._random.random() < 0.1:
                    column.values[row] = value = self._random.choice(_ODD)
                    setattr(transactions[row], path, value)

    def _totals(self, n: int) -> Whole:
        rng = self._random
        return Whole(np.array([rng.choice(INTS) for _ in range(n)], np.int64), self._there(n))

    def _usuals(self, n: int) -> Doubles:
        rng = self._random
        drawn = [rng.choice((*DOUBLES, *_ODD)) for _ in range(n)]
        return Doubles(np.array(drawn), self._there(n), None)

    def _there(self, n: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.array([self._random.random() < 0.9 for _ in range(n)])

    def _activations(
        self, transactions: Mapping[int, Any], windows: Sequence[Doubles | Whole]
    ) -> dict[int, cel.Activation]:
        found = {}
        for row, transaction in transactions.items():
            values = {name: windows[number].value(row) for name, number in NUMBERS.items()}
            bound = {name: NOTHING if v is None else v for name, v in values.items()}
            found[row] = self.environment.activation(transaction, bound)
        return found


def variant(schema: Schema, random: Random) -> Schema:
    """The same fields in another order; some texts are enumerations."""
    fields: Sequence[Field] = random.sample(schema.fields, len(schema.fields))
    return Schema(tuple(_variant(field, random) for field in fields))


def _variant(field: Field, random: Random) -> Field:
    if field.name not in {"note", "source"} or random.random() < 0.5:
        return field
    labels = tuple(dict.fromkeys(random.choices(TEXTS, k=8)))
    return msgspec.structs.replace(field, enum=labels)
