"""What rules ask of earlier transactions: whether it can be asked, and which windows it takes.

Aggregates that ask for the same thing share it, whatever each rule calls it. A
*source* is what entries are made of: the grouping, the field, the condition.
Each source is one series of `services.windows`; a *value* is what an expression
reads, made of one or two of its columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from services.rules.keys import NO_KEY
from services.rules.mends import near
from services.rules.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.rules.model import Aggregate
    from services.rules.model import Function as RuleFunction
    from services.transactions import Schema
    from services.transactions.fields import Field
    from services.windows import Function

Kind = Literal["int", "double"]

# What a name may not be, because expressions have it already.
_TAKEN = {
    *("transaction", "timestamp", "duration", "size", "has", "matches", "contains", "startsWith"),
    *("endsWith", "exists", "all", "filter", "map", "int", "uint", "double", "bool", "string"),
    *("bytes", "list", "type", "dyn", "as", "break", "const", "continue", "else", "false", "for"),
    *("function", "if", "import", "in", "let", "loop", "null", "package", "namespace", "return"),
    *("true", "var", "void", "while", "google", "null_type"),
}
_COLUMNS: dict[RuleFunction, tuple[Function, ...]] = {
    "Count": ("count",),
    "CountDistinct": ("distinct",),
    "Sum": ("sum",),
    "Avg": ("sum", "count"),
    "Min": ("min",),
    "Max": ("max",),
}


class Source(NamedTuple):
    """What the entries of a series are made of; texts are "" where there is none.

    `currency` is the field with the currency of `of`, where that is money.
    `optional` says that a transaction may be without one of the two.
    """

    group_by: str
    of: str
    currency: str
    where: str
    distinct: bool
    optional: bool


class Column(NamedTuple):
    """What a series is asked."""

    function: Function
    window_ms: int


class Value(NamedTuple):
    """What an expression reads: an aggregate, without the name that a rule gives it."""

    source: Source
    function: RuleFunction
    window_ms: int
    kind: Kind

    @property
    def columns(self) -> tuple[Column, ...]:
        """What it is made of: for an average a sum and a count, else itself."""
        return tuple(Column(function, self.window_ms) for function in _COLUMNS[self.function])


class Plan(NamedTuple):
    """The windows of a ruleset: the values that can be read, and what each series is asked."""

    values: tuple[Value, ...]

    @property
    def series(self) -> dict[Source, tuple[Column, ...]]:
        """Each source with its columns, in the order of the values."""
        found: dict[Source, dict[Column, None]] = {}
        for value in self.values:
            found.setdefault(value.source, {}).update(dict.fromkeys(value.columns))
        return {source: tuple(columns) for source, columns in found.items()}

    @property
    def reach_ms(self) -> int:
        """The longest window."""
        return max((value.window_ms for value in self.values), default=0)


def plan(values: Iterable[Value]) -> Plan:
    """Plan the windows that some values need, each once."""
    return Plan(tuple(sorted(set(values))))


def value_of(aggregate: Aggregate, schema: Schema) -> Value:
    """Say what an aggregate that `complaints` has nothing against reads."""
    field = next((f for f in schema.fields if f.name == aggregate.of), None)
    distinct = aggregate.function == "CountDistinct"
    currency = field.currency or "" if field is not None and not distinct else ""
    optional = any(not f.required for f in schema.fields if f.name in {aggregate.of, currency})
    source = Source(aggregate.group_by, aggregate.of, currency, aggregate.where, distinct, optional)
    counts = aggregate.function in {"Count", "CountDistinct"}
    whole = counts or (aggregate.function != "Avg" and field is not None and field.type == "int")
    return Value(source, aggregate.function, aggregate.window_ms, "int" if whole else "double")


def complaints(aggregates: Iterable[Aggregate], schema: Schema, keyed_by: str) -> Iterator[Problem]:
    """Say what is wrong with a rule's aggregates, their conditions aside.

    Args:
        aggregates: the rule's.
        schema: of the transactions.
        keyed_by: the field that the input topic is keyed by, "none" without.

    """
    seen: set[str] = set()
    for i, aggregate in enumerate(aggregates):
        place = f"spec.aggregates[{i}]"
        if aggregate.name in seen:
            yield Problem(
                field=f"{place}.name",
                message=f"there is an aggregate `{aggregate.name}` already",
                mend="give each a name of its own",
            )
        seen.add(aggregate.name)
        if aggregate.name in _TAKEN:
            yield Problem(
                field=f"{place}.name",
                message=f"`{aggregate.name}` is a word of the expressions",
                mend=f"choose another name, as in {aggregate.name}_1h",
            )
        yield from _grouping(place, aggregate, schema, keyed_by)
        yield from _measured(place, aggregate, schema)


def _grouping(place: str, aggregate: Aggregate, schema: Schema, keyed_by: str) -> Iterator[Problem]:
    name = aggregate.group_by
    if _field(schema, name) is None:
        yield _unknown(f"{place}.groupBy", name, schema)
    elif keyed_by == NO_KEY:
        yield Problem(
            field=f"{place}.groupBy",
            message="the input topic is declared to have no keys, so no detector sees all of one "
            f"{name}",
            mend="key the topic's records, and name the field in KEYED_BY (detector.keyedBy in the "
            "chart)",
        )
    elif name != keyed_by:
        yield Problem(
            field=f"{place}.groupBy",
            message=f"found {name}, and the input topic is keyed by {keyed_by}: no detector sees "
            f"all of one {name}",
            mend=f"group by {keyed_by}, or key the topic by {name} and set KEYED_BY={name} "
            "(detector.keyedBy in the chart)",
        )


def _measured(place: str, aggregate: Aggregate, schema: Schema) -> Iterator[Problem]:
    if aggregate.function == "Count" or not aggregate.of:
        return  # which of them have a field is said by `contradictions`
    field = _field(schema, aggregate.of)
    if field is None:
        yield _unknown(f"{place}.of", aggregate.of, schema)
    elif complaint := _unfit(aggregate.function, field):
        yield Problem(field=f"{place}.of", message=complaint[0], mend=complaint[1])


def _unfit(function: RuleFunction, field: Field) -> tuple[str, str] | None:
    if function == "CountDistinct":
        if field.type in {"timestamp", "double"}:
            return f"values of a {field.type} are not told apart exactly", "name another field"
        return None
    if field.type == "int" or (field.type == "double" and field.currency):
        return None
    if field.type == "double":
        return (
            f"`{field.name}` is a decimal number and no money, and is not added up exactly",
            f"make it money with `currency: …` in the schema, or an int: a {function} needs that",
        )
    return (
        f"a {function} is of a number, and `{field.name}` is a {field.type}",
        "name another field, or count with CountDistinct",
    )


def _field(schema: Schema, name: str) -> Field | None:
    return next((field for field in schema.fields if field.name == name), None)


def _unknown(place: str, name: str, schema: Schema) -> Problem:
    names = [field.name for field in schema.fields]
    meant = near(name, names)
    return Problem(
        field=place,
        message=f"a transaction has no field `{name}`",
        mend=f"did you mean `{meant}`?" if meant else f"it has {', '.join(names)}",
    )
