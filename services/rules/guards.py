"""Conditions with which several rules begin, tested once for all of them.

Rules of one ruleset often share their first condition: a currency, or a required
country. `A && B` is false if A is, whatever B returns or raises. So rules with the
same A are placed together below one test of it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Condition = tuple[int, ast.expr]
Group = tuple[ast.expr | None, list[Condition]]

# Errors that generated code may raise; a test outside of its rule's `try` must not raise them.
_RAISING = {"int64", "divide", "modulo"}


def group_by_guard(
    conditions: Iterable[Condition],
) -> list[Group]:
    """Group conditions by their first part.

    Args:
        conditions: Index and generated condition of each rule.

    Returns:
        For every guard that several rules share, the guard and the rest of each condition;
        None and the whole conditions for all other rules.

    """
    shared: dict[str, tuple[ast.expr, list[Condition], list[Condition]]] = {}
    alone: list[Condition] = []
    for index, code in conditions:
        parts = _split(code)
        if parts is None or _may_raise(parts[0]):
            alone.append((index, code))
            continue
        guard, rest = parts
        _, whole, below = shared.setdefault(ast.dump(guard), (guard, [], []))
        whole.append((index, code))
        below.append((index, rest))
    groups: list[Group] = []
    for guard, whole, below in shared.values():
        if len(whole) > 1:
            groups.append((guard, below))
        else:
            alone += whole
    return [(None, alone), *groups]


def _split(code: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """Split the first part off a conjunction: A && B && C becomes A, and B && C."""
    if not (isinstance(code, ast.BoolOp) and isinstance(code.op, ast.And)):
        return None
    first, second = code.values
    deeper = _split(first)
    if deeper is None:
        return first, second
    return deeper[0], ast.BoolOp(ast.And(), [deeper[1], second])


def _may_raise(code: ast.expr) -> bool:
    """True if a test may raise: it calls a function that may, or an aggregate has no value."""
    return any(
        (isinstance(node, ast.Name) and (node.id in _RAISING or node.id[0] == "c"))
        or isinstance(node, ast.Div)
        for node in ast.walk(code)
    )
