"""A few transactions within the schema's bounds, on which parts of conditions are evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.rules.expressions import NOTHING
from services.transactions.fields import int64_bounds, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.rules.checked_pb2 import CheckedExpr, Expr
    from services.rules.expressions import Environment
    from services.transactions.fields import Field

_TEXTS = ("a1", "Mm5", "zZ~9")
_NUMBERS = (0.01, 950.0, 1e9)
_COUNTS = (1, 7, 1000)
_TIMES_MS = (946_731_600_000, 1_767_268_800_000, 1_790_000_000_000)
_CURRENCIES = ("USD", "EUR", "JPY")


class Samples:
    """Transactions on which parts of an expression are evaluated.

    Args:
        environment: Environment of the expression.
        kinds: Names of its aggregates, each with "int" or "double".

    """

    def __init__(self, environment: Environment, kinds: Mapping[str, str]) -> None:
        self._environment = environment
        self._kinds = kinds

    def holds(self, checked: CheckedExpr, node: Expr, missing: frozenset[str]) -> bool | None:
        """Evaluate a condition with some fields missing; None if the results differ."""
        part = self._environment.part(checked, node)
        found = {self._value(part, i, missing) for i in range(len(_TEXTS))}
        return found.pop() if len(found) == 1 else None

    def _value(self, part: Any, i: int, missing: frozenset[str]) -> bool | None:  # noqa: ANN401 - cel.Expression has no types
        schema = self._environment.schema
        values = {f.name: None if f.name in missing else _sample(f, i) for f in schema.fields}
        numbers = {"int": _COUNTS[i], "double": _NUMBERS[i]}
        bound = {name: numbers.get(kind, NOTHING) for name, kind in self._kinds.items()}
        try:
            value = part.eval(self._environment.activation(schema.struct(**values), bound)).value()
        except RuntimeError:
            return None
        return value if isinstance(value, bool) else None


def _sample(field: Field, i: int) -> Any:  # noqa: ANN401 - of the field's type
    match field.type:
        case "string" if field.enum:
            return field.enum[i % len(field.enum)]
        case "string":
            text = _TEXTS[i].ljust(field.min_length or 0, _TEXTS[i][0])
            return text[: field.max_length]
        case "currency":
            return _CURRENCIES[i]
        case "bool":
            return i % 2 == 0
        case "timestamp":
            return _TIMES_MS[i]
        case "int":
            bounds = int64_bounds(field)
            return min(max(_COUNTS[i], bounds["ge"]), bounds["le"])
        case "double":
            low = max(numbers(field.minimum, field.exclusive_minimum), default=_NUMBERS[i])
            high = min(numbers(field.maximum, field.exclusive_maximum), default=_NUMBERS[i])
            return float(min(max(_NUMBERS[i], low), high))
