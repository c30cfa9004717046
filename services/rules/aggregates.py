"""The aggregates of rules: checks, and the windows that they need.

Equal aggregates share one value, whatever name each rule gives it. A *source* defines
the entries of a series: the grouping, the field, the condition. Each source is one
series of `services.windows`; a *value* is what an expression reads, computed from one
or two columns of the series.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from services.rules.hints import near
from services.rules.keys import NO_KEY
from services.rules.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.rules.model import Aggregate
    from services.rules.model import Function as RuleFunction
    from services.transactions import Schema
    from services.transactions.fields import Field
    from services.windows import Function

Kind = Literal["int", "double"]

# Names that an aggregate cannot have, because expressions use them already.
_TAKEN = {
    *("transaction", "timestamp", "duration", "size", "has", "matches", "contains", "startsWith"),
    *("endsWith", "exists", "all", "filter", "map", "int", "uint", "double", "bool", "string"),
    *("bytes", "list", "type", "dyn", "as", "break", "const", "continue", "else", "false", "for"),
    *("function", "if", "import", "in", "let", "loop", "null", "package", "namespace", "return"),
    *("true", "var", "void", "while", "google", "null_type"),
}
# A condition on a field, by the field's type.
_SOME = {"double": "transaction.{} >= 900.0", "timestamp": "transaction.{}.getHours() < 6"}
_COLUMNS: dict[RuleFunction, tuple[Function, ...]] = {
    "Count": ("count",),
    "CountDistinct": ("distinct",),
    "Sum": ("sum",),
    "Avg": ("sum", "count"),
    "Min": ("min",),
    "Max": ("max",),
}


class Source(NamedTuple):
    """The definition of a series' entries; texts are "" if there is none.

    `currency` is the field with the currency of `of`, if that is money.
    """

    group_by: str
    of: str
    currency: str
    where: str
    distinct: bool


class Column(NamedTuple):
    """One query of a series."""

    function: Function
    window_ms: int


class Value(NamedTuple):
    """The definition of what an expression reads: an aggregate without the name in its rule."""

    source: Source
    function: RuleFunction
    window_ms: int
    kind: Kind

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the value: a sum and a count for an average, else one column."""
        return tuple(Column(function, self.window_ms) for function in _COLUMNS[self.function])


class Plan(NamedTuple):
    """The windows of a ruleset: its values, and the columns of each series."""

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
    """Plan the windows for some values, each once."""
    return Plan(tuple(sorted(set(values))))


def value_of(aggregate: Aggregate, schema: Schema) -> Value:
    """Return the value of an aggregate in which `complaints` has found no problem."""
    field = next((f for f in schema.fields if f.name == aggregate.of), None)
    distinct = aggregate.function == "CountDistinct"
    currency = field.currency or "" if field is not None and not distinct else ""
    source = Source(aggregate.group_by, aggregate.of, currency, aggregate.where, distinct)
    counts = aggregate.function in {"Count", "CountDistinct"}
    whole = counts or (aggregate.function != "Avg" and field is not None and field.type == "int")
    return Value(source, aggregate.function, aggregate.window_ms, "int" if whole else "double")


def complaints(aggregates: Iterable[Aggregate], schema: Schema, keyed_by: str) -> Iterator[Problem]:
    """Find the problems of a rule's aggregates, except those of their conditions.

    Args:
        aggregates: Aggregates of the rule.
        schema: Schema of the transactions.
        keyed_by: Field that the input topic is keyed by, "none" for a topic without keys.

    """
    seen: set[str] = set()
    for i, aggregate in enumerate(aggregates):
        place = f"spec.aggregates[{i}]"
        if aggregate.name in seen:
            yield Problem(
                field=f"{place}.name",
                message=f"there is an aggregate `{aggregate.name}` already",
                hint="give each another name",
            )
        seen.add(aggregate.name)
        if aggregate.name in _TAKEN:
            yield Problem(
                field=f"{place}.name",
                message=f"`{aggregate.name}` is a word of the expressions",
                hint=f"choose another name, as in {aggregate.name}_1h",
            )
        yield from _grouping(place, aggregate, schema, keyed_by)
        yield from _measured(place, aggregate, schema)


def _grouping(place: str, aggregate: Aggregate, schema: Schema, keyed_by: str) -> Iterator[Problem]:
    name = aggregate.group_by
    if several := [part for part in re.split(r"[\s,;+&]+", name) if part][1:]:
        yield Problem(
            field=f"{place}.groupBy",
            message=f"found {len(several) + 1} fields, expected one",
            hint=f"group by {keyed_by if keyed_by != NO_KEY else name.split(',')[0]}, and name "
            "the others in `where`",
        )
    elif _field(schema, name) is None:
        yield _unknown(f"{place}.groupBy", name, schema)
    elif keyed_by == NO_KEY:
        yield Problem(
            field=f"{place}.groupBy",
            message="the input topic is declared to have no keys, so no detector sees all of one "
            f"{name}",
            hint="key the topic's records, and name the field in KEYED_BY (detector.keyedBy in the "
            "chart)",
        )
    elif name != keyed_by:
        yield Problem(
            field=f"{place}.groupBy",
            message=f"found {name}, and the input topic is keyed by {keyed_by}: no detector sees "
            f"all of one {name}",
            hint=f"group by {keyed_by}, or key the topic by {name} and set KEYED_BY={name} "
            "(detector.keyedBy in the chart)",
        )


def _measured(place: str, aggregate: Aggregate, schema: Schema) -> Iterator[Problem]:
    if aggregate.function == "Count" or not aggregate.of:
        return  # `contradictions` checks which of them have a field
    field = _field(schema, aggregate.of)
    if field is None:
        yield _unknown(f"{place}.of", aggregate.of, schema)
    elif complaint := _unfit(aggregate.function, field):
        yield Problem(field=f"{place}.of", message=complaint[0], hint=complaint[1])


def _unfit(function: RuleFunction, field: Field) -> tuple[str, str] | None:
    if function == "CountDistinct":
        if some := _SOME.get(field.type):
            return (
                f"a CountDistinct is of text, int or bool, and `{field.name}` is a {field.type}",
                f"count with `function: Count`, and a `where` as in `{some.format(field.name)}`",
            )
        return None
    if field.type == "int" or (field.type == "double" and field.currency):
        return None
    if field.type == "double":
        return (
            f"`{field.name}` is a decimal number and no money, and is not added up exactly",
            f"make it money with `currency: …` in the schema, or an int: a {function} needs that",
        )
    if field.type == "timestamp":
        return (
            f"a {function} is of a number, and `{field.name}` is a timestamp",
            "whether something came before is asked with a Count: leave `of` out",
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
        hint=f"did you mean `{meant}`?" if meant else f"it has {', '.join(names)}",
    )
