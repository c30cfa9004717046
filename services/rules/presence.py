"""Optional fields that an expression reads without asking whether they are there.

A missing field reads as its type's empty value (protobuf's meaning, which
Google's evaluator has): `transaction.country != 'US'` is true of a
transaction without a country. That is seldom meant, so it is a warning with
the mend, `has(transaction.country) && …`. Comparing with a value that is not
empty by `==` or `in` needs no guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rules.limits import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.rules.checked_pb2 import CheckedExpr, Expr

_NOTHING: frozenset[str] = frozenset()


def unguarded(checked: CheckedExpr, optional: frozenset[str]) -> tuple[str, ...]:
    """Name the optional fields that are read where they may be missing.

    Args:
        checked: the checked tree.
        optional: the schema's optional fields.

    Returns:
        Field names in the order of reading, each once.

    """
    return tuple(dict.fromkeys(_reads(checked.expr, optional, _NOTHING)))


def field_of(node: Expr) -> str | None:
    """The field that `transaction.field` reads, or None for any other node."""
    if node.WhichOneof("expr_kind") != "select_expr":
        return None
    operand = node.select_expr.operand
    if operand.WhichOneof("expr_kind") != "ident_expr":
        return None
    return node.select_expr.field if operand.ident_expr.name == "transaction" else None


def _reads(node: Expr, optional: frozenset[str], present: frozenset[str]) -> Iterator[str]:
    field = field_of(node)
    if field is not None:
        if field in optional - present and not node.select_expr.test_only:
            yield field
        return
    call = node.call_expr
    if call.function in {"_==_", "@in"} and _is_plain(call.args[1]) and field_of(call.args[0]):
        return
    if call.function == "_&&_":
        # && has no order in CEL: each side is guarded by the other
        for side, other in (call.args, reversed(call.args)):
            yield from _reads(side, optional, present | _known(other, holds=True))
    elif call.function == "_||_":
        for side, other in (call.args, reversed(call.args)):
            yield from _reads(side, optional, present | _known(other, holds=False))
    elif call.function == "_?_:_":
        condition, yes, no = call.args
        yield from _reads(condition, optional, present)
        yield from _reads(yes, optional, present | _known(condition, holds=True))
        yield from _reads(no, optional, present | _known(condition, holds=False))
    else:
        for child in children(node):
            yield from _reads(child, optional, present)


def _known(node: Expr, *, holds: bool) -> frozenset[str]:
    """The fields that are there for certain when a condition holds (or does not)."""
    field = field_of(node)
    if field is not None:
        return frozenset({field}) if node.select_expr.test_only and holds else _NOTHING
    call = node.call_expr
    if call.function == "!_":
        return _known(call.args[0], holds=not holds)
    if call.function == ("_&&_" if holds else "_||_"):
        return _known(call.args[0], holds=holds) | _known(call.args[1], holds=holds)
    if call.function == ("_||_" if holds else "_&&_"):
        return _known(call.args[0], holds=holds) & _known(call.args[1], holds=holds)
    return _NOTHING


def _is_plain(node: Expr) -> bool:
    """Whether a node is a literal, or a list of literals, none of them empty."""
    kind = node.WhichOneof("expr_kind")
    if kind == "list_expr":
        return all(_is_plain(element) for element in node.list_expr.elements)
    if kind != "const_expr":
        return False
    constant = node.const_expr
    which = constant.WhichOneof("constant_kind")
    return which is not None and bool(getattr(constant, which))
