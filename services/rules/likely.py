"""Warnings about rules that are valid but likely a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rules.constants import is_constant
from services.rules.impossible import impossible
from services.rules.limits import walk
from services.rules.presence import field_of, unguarded
from services.rules.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from services.rules.checked_pb2 import CheckedExpr, Expr
    from services.rules.conditions import Condition
    from services.rules.expressions import Environment
    from services.rules.model import Aggregate, FraudRule

_EMPTY = {"string": '""', "currency": '""', "bool": "false", "timestamp": "1970"}
_ORDERS = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


def warnings_of(
    rule: FraudRule,
    checked: CheckedExpr,
    wheres: Mapping[str, Condition],
    kinds: Mapping[str, str],
    environment: Environment,
) -> Iterator[str]:
    """Find likely mistakes.

    Args:
        rule: Rule that compiles.
        checked: Tree of its expression.
        wheres: Conditions of its aggregates, by their text.
        kinds: "int" or "double" for each aggregate, by its name.
        environment: Environment of its expressions.

    """
    yield from _condition("", checked, kinds, environment)
    for text, where in wheres.items():
        yield from _condition(f"where `{text}`: ", where.expression.checked, {}, environment)
    aggregates = rule.spec.aggregates
    yield from _unused(aggregates, checked)
    yield from _includes(aggregates, checked, wheres)
    yield from _without_value(aggregates, checked, wheres)
    if not any(example.expect == "Match" for example in rule.spec.examples):
        yield "no example shows what the rule matches: add one with `expect: Match`"


def _condition(
    place: str, checked: CheckedExpr, kinds: Mapping[str, str], environment: Environment
) -> Iterator[str]:
    schema = environment.schema
    samples = Samples(environment, kinds)
    optional = frozenset(
        f.name for f in schema.fields if not f.required and f.name not in {"id", "timestamp"}
    )
    empty = {f.name: _EMPTY.get(f.type, "0") for f in schema.fields}
    for name in unguarded(checked, optional, lambda n, m: samples.holds(checked, n, m)):
        yield (
            f"{place}`{name}` may be missing, and then reads as {empty[name]}: "
            f"guard it with `has(transaction.{name}) && …`, or write `!has(transaction.{name})` "
            "where that is meant"
        )
    if is_constant(checked.expr):
        always = "true" if environment.constant(checked, checked.expr) else "false"
        yield f"{place}the condition is {always} for every transaction: compare a field"
    fields = {field.name: field for field in schema.fields}
    for message in dict.fromkeys(impossible(checked.expr, fields)):
        yield place + message


def _names(node: Expr) -> set[str]:
    return {n.ident_expr.name for n in walk(node) if n.WhichOneof("expr_kind") == "ident_expr"}


def _unused(aggregates: Iterable[Aggregate], checked: CheckedExpr) -> Iterator[str]:
    names = _names(checked.expr)
    for aggregate in aggregates:
        if aggregate.name not in names:
            yield f"the aggregate `{aggregate.name}` is not used by the expression: leave it out"


def _includes(
    aggregates: Iterable[Aggregate], checked: CheckedExpr, wheres: Mapping[str, Condition]
) -> Iterator[str]:
    """Find comparisons with a value that the transaction at hand is part of."""
    own = _with_own(aggregates, checked, wheres)
    measured = {a.name: a for a in aggregates if a.of and a.name in own}
    hints: dict[str, str] = {}
    for node in walk(checked.expr):
        if len(node.call_expr.args) != 2:
            continue
        for place, side in enumerate(node.call_expr.args):
            for name in sorted(_names(side) & set(measured)):
                if hint := _self_reference(node.call_expr, place, measured[name]):
                    hints.setdefault(name, hint)
    for name, hint in hints.items():
        yield (
            f"the window of `{name}` contains this transaction's own {measured[name].of}: {hint}; "
            'docs/rules.md, "Earlier transactions", has how to leave it out'
        )


def _with_own(
    aggregates: Iterable[Aggregate], checked: CheckedExpr, wheres: Mapping[str, Condition]
) -> set[str]:
    """Aggregates that the transaction at hand is part of wherever the rule matches."""
    required = {_shape(part) for part in _conjuncts(checked.expr)}
    return {
        a.name
        for a in aggregates
        if not a.where
        or all(
            _shape(part) in required for part in _conjuncts(wheres[a.where].expression.checked.expr)
        )
    }


def _self_reference(call: Expr.Call, place: int, aggregate: Aggregate) -> str:
    """Explain why an operation on an aggregate and its own field is likely a mistake, or ""."""
    side, other = call.args[place], call.args[1 - place]
    if _names(other) != {"transaction"} or not any(
        field_of(n) == aggregate.of for n in walk(other)
    ):
        return ""
    bare = side.WhichOneof("expr_kind") == "ident_expr" and field_of(other) == aggregate.of
    if call.function == "_-_" and place == 0 and bare and aggregate.function == "Sum":
        return "the difference is rounded as decimals are, and not exactly the earlier sum"
    # As if written `field operator aggregate`.
    operator = call.function if place == 1 else _ORDERS.get(call.function, "")
    more = operator in {"_>_", "_>=_"}
    match aggregate.function:
        case "Max" if more and (operator == "_>_" or not bare):
            return "it is never more than the greatest"
        case "Min" if operator in {"_<_", "_<=_"} and (operator == "_<_" or not bare):
            return "it is never less than the least"
        case "Avg" if operator in _ORDERS:
            return "what is compared moves the average"
        case "Sum" if operator == "_>_" and bare:
            return "it is never more than the sum"
    return ""


def _conjuncts(node: Expr) -> list[Expr]:
    if node.call_expr.function == "_&&_":
        return [part for side in node.call_expr.args for part in _conjuncts(side)]
    return [node]


def _shape(node: Expr) -> bytes:
    """Return bytes that are equal for parts with the same text, at any place."""
    plain = type(node)()
    plain.CopyFrom(node)
    for each in walk(plain):
        each.id = 0
    return plain.SerializeToString(deterministic=True)


def _without_value(
    aggregates: tuple[Aggregate, ...], checked: CheckedExpr, wheres: Mapping[str, Condition]
) -> Iterator[str]:
    """Find aggregates that may be over nothing and are not guarded by a Count over the same."""
    names, own = _names(checked.expr), _with_own(aggregates, checked, wheres)
    counted = {
        (a.group_by, a.window_ms, a.where)
        for a in aggregates
        if a.function == "Count" and a.name in names
    }
    for a in aggregates:
        unguarded = a.name in names - own and (a.group_by, a.window_ms, a.where) not in counted
        if a.where and a.function in {"Avg", "Min", "Max"} and unguarded:
            yield (
                f"`{a.name}` has no value where nothing in its window passes `where`, and the rule "
                "does not match then: guard it with a Count of the same `where`, as in "
                "`payments > 0 && …`"
            )
