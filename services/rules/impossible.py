"""Comparisons with values that the schema excludes for a field."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from services.rules.limits import children
from services.rules.presence import field_of
from services.transactions.currencies import DECIMALS
from services.transactions.fields import int64_bounds, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.rules.checked_pb2 import Expr
    from services.transactions.fields import Field

_EQUALITIES = {"_==_", "_!=_"}
# Each comparison with its sides exchanged.
_COMPARISONS = {
    "_<_": "_>_",
    "_<=_": "_>=_",
    "_>_": "_<_",
    "_>=_": "_<=_",
    "_==_": "_==_",
    "_!=_": "_!=_",
}


def impossible(node: Expr, fields: Mapping[str, Field]) -> Iterator[str]:
    """Find comparisons with values that a field never has.

    Args:
        node: Tree of the condition.
        fields: Fields of the schema, by name.

    Returns:
        A warning for each comparison.

    """
    call = node.call_expr
    if call.function in _COMPARISONS and len(call.args) == 2:
        for one, other, operator in (
            (call.args[0], call.args[1], call.function),
            (call.args[1], call.args[0], _COMPARISONS[call.function]),
        ):
            yield from _never(fields.get(field_of(one) or ""), operator, other)
    elif call.function == "@in" and call.args[1].WhichOneof("expr_kind") == "list_expr":
        field = fields.get(field_of(call.args[0]) or "")
        for element in call.args[1].list_expr.elements:
            yield from _never(field, "_==_", element)
    for child in children(node):
        yield from impossible(child, fields)


def _never(field: Field | None, operator: str, other: Expr) -> Iterator[str]:
    value = _literal(other)
    if field is None or value is None or (not field.required and not value):
        return  # a missing field reads as the empty value
    if isinstance(value, str):
        expected = _expected_text(field, value) if operator in _EQUALITIES else ""
        shown = f'"{value}"'
    else:
        expected = _expected_number(field, operator, value)
        shown = f"{value}"
    if expected:
        never = "always" if operator == "_!=_" else "never"
        sign = operator.strip("_")
        yield (
            f"`transaction.{field.name} {sign} {shown}` is {never} true: {expected}; "
            "write another value"
        )


def _literal(node: Expr) -> str | float | None:
    if node.call_expr.function == "-_":
        value = _literal(node.call_expr.args[0])
        return None if value is None or isinstance(value, str) else -value
    which = node.const_expr.WhichOneof("constant_kind")
    if which not in {"string_value", "int64_value", "double_value"}:
        return None
    value = getattr(node.const_expr, which)
    return value if isinstance(value, str | int | float) else None


def _expected_text(field: Field, value: str) -> str:
    """Describe the values of a text field if it never has the given one; else ""."""
    if field.type == "currency":
        return "" if value in DECIMALS else "a currency is an ISO 4217 code, as in USD"
    if field.enum:
        return "" if value in field.enum else f"it is one of {', '.join(field.enum)}"
    least, most = field.min_length or 0, field.max_length
    if most is not None and len(value) > most:
        return f"it has {most} characters at most"
    return f"it has {least} characters at least" if len(value) < least else ""


def _expected_number(field: Field, operator: str, value: float) -> str:
    """Describe the values of a number field if a comparison is never true; else ""."""
    if field.type not in {"int", "double"}:
        return ""
    low, high, open_low, open_high = _bounds(field)
    below = value < low or (value == low and open_low)
    above = value > high or (value == high and open_high)
    ruled_out = {
        "_==_": below or above,
        "_!=_": below or above,
        "_<_": below or value == low,
        "_<=_": below,
        "_>_": above or value == high,
        "_>=_": above,
    }
    if not ruled_out[operator]:
        return ""
    if value <= low:
        return f"it is {'more than' if open_low else 'at least'} {low}"
    return f"it is {'less than' if open_high else 'at most'} {high}"


def _bounds(field: Field) -> tuple[float, float, bool, bool]:
    """Return the least and the greatest value, and for each whether it is excluded."""
    if field.type == "int":
        bounds = int64_bounds(field)
        return _with_zero(field, bounds["ge"], bounds["le"], outside=(False, False))
    low = max(numbers(field.minimum, field.exclusive_minimum), default=-math.inf)
    high = min(numbers(field.maximum, field.exclusive_maximum), default=math.inf)
    outside = (low == field.exclusive_minimum, high == field.exclusive_maximum)
    return _with_zero(field, low, high, outside=outside)


def _with_zero(
    field: Field, low: float, high: float, *, outside: tuple[bool, bool]
) -> tuple[float, float, bool, bool]:
    """Add the value that a missing optional field reads as."""
    if field.required:
        return low, high, *outside
    return min(low, 0), max(high, 0), outside[0] and low < 0, outside[1] and high > 0
