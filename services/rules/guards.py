"""Conditions that many rules begin with, tested once for all of them.

Rules of one ruleset often share their first condition: a currency, a country
that has to be there. `A && B` is false when A is, whatever B says or raises, so
rules with the same A stand together below one test of it.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Condition = tuple[int, ast.expr]
Group = tuple[ast.expr | None, list[Condition]]

# What the generated code may raise with; a test that is taken out of its rule must not.
_RAISING = {"int64", "divide", "modulo"}


def group_by_guard(
    conditions: Iterable[Condition],
) -> list[Group]:
    """Group conditions by their first part.

    Args:
        conditions: each rule's index and generated condition.

    Returns:
        A guard and what is left of each condition below it, for every guard
        that several share; None and the whole conditions for the others.

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
    """Take the first part from a conjunction: A && B && C is A, and B && C."""
    if not (isinstance(code, ast.BoolOp) and isinstance(code.op, ast.And)):
        return None
    first, second = code.values
    deeper = _split(first)
    if deeper is None:
        return first, second
    return deeper[0], ast.BoolOp(ast.And(), [deeper[1], second])


def _may_raise(code: ast.expr) -> bool:
    """Whether a test may raise: with what it calls, or with an aggregate that has no value."""
    return any(
        (isinstance(node, ast.Name) and (node.id in _RAISING or node.id[0] == "c"))
        or isinstance(node, ast.Div)
        for node in ast.walk(code)
    )
