"""Find optional fields that make a condition true if they are missing.

A missing field reads as its type's empty value (protobuf's semantics, which
Google's evaluator has): `transaction.country != 'US'` is true for a transaction
without a country. That is seldom intended. The condition is evaluated through its
`&&`, `||`, `!` and `?:` with the field missing: `has(…)` is false then, other parts that
read the field are evaluated on a few transactions, and all remaining parts may
be true or false. The field is reported if the condition can be true because of the
result for the empty value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rules.limits import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from services.rules.checked_pb2 import CheckedExpr, Expr

Truth = bool | None
"""True, false, or either."""


def unguarded(
    checked: CheckedExpr,
    optional: frozenset[str],
    holds: Callable[[Expr, frozenset[str]], Truth],
) -> tuple[str, ...]:
    """Find the optional fields that make a condition true if they are missing.

    Args:
        checked: Checked tree of the condition.
        optional: Optional fields of the schema.
        holds: Evaluates a part with some fields missing; None if the result
            depends on the other fields.

    Returns:
        Names of fields in the order of reading, each once.

    """
    reads = [f for f in dict.fromkeys(_reads(checked.expr)) if f in optional]
    alone = tuple(f for f in reads if _matters(checked.expr, frozenset({f}), holds))
    if alone or len(reads) < 2 or not _matters(checked.expr, frozenset(reads), holds):
        return alone
    return tuple(reads)  # as in `transaction.a == transaction.b`


def field_of(node: Expr) -> str | None:
    """Return the field that `transaction.field` reads, or None for any other node."""
    if node.WhichOneof("expr_kind") != "select_expr":
        return None
    operand = node.select_expr.operand
    if operand.WhichOneof("expr_kind") != "ident_expr":
        return None
    return node.select_expr.field if operand.ident_expr.name == "transaction" else None


def _reads(node: Expr) -> Iterable[str]:
    for each in walk(node):
        field = field_of(each)
        if field is not None and not each.select_expr.test_only:
            yield field


def _matters(
    node: Expr, missing: frozenset[str], holds: Callable[[Expr, frozenset[str]], Truth]
) -> bool:
    """True if the condition can be true only because results for empty values count."""
    parts = _Parts(missing, holds)
    found = parts.truth(node, positive=True, counts=True)
    return found is not False and found is not parts.truth(node, positive=True, counts=False)


class _Parts:
    """Truth of the parts of a condition with some fields missing."""

    def __init__(
        self, missing: frozenset[str], holds: Callable[[Expr, frozenset[str]], Truth]
    ) -> None:
        self._missing = missing
        self._holds = holds

    def truth(self, node: Expr, *, positive: bool | None, counts: bool) -> Truth:
        """Return the truth of a part.

        Args:
            node: Tree of the part.
            positive: True if the condition is true when the part is, False if it is
                true when the part is false; None for both.
            counts: True if the result for an empty value is used as it is, False
                if it is assumed not to make the condition true.

        """
        call = node.call_expr
        if call.function == "!_":
            turned = None if positive is None else not positive
            return _not(self.truth(call.args[0], positive=turned, counts=counts))
        if call.function in {"_&&_", "_||_"}:
            both = [self.truth(side, positive=positive, counts=counts) for side in call.args]
            decisive = call.function == "_||_"
            if decisive in both:
                return decisive
            return None if None in both else not decisive
        if call.function == "_?_:_":
            choice = self.truth(call.args[0], positive=None, counts=counts)
            chosen = call.args[1:] if choice is None else [call.args[1 if choice else 2]]
            found = {self.truth(one, positive=positive, counts=counts) for one in chosen}
            return found.pop() if len(found) == 1 else None
        return self._part(node, positive=positive, counts=counts)

    def _part(self, node: Expr, *, positive: bool | None, counts: bool) -> Truth:
        if node.const_expr.WhichOneof("constant_kind") == "bool_value":
            return node.const_expr.bool_value
        if not any(field_of(each) in self._missing for each in walk(node)):
            return None
        found = self._holds(node, self._missing)
        reads = any(field in self._missing for field in _reads(node))
        if counts or found is None or not reads or (positive is not None and found != positive):
            return found
        return not found


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth
