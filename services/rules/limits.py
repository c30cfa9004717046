"""Reject checked expressions that could stall the stream.

The parser bounds length and depth (32 levels). That leaves loops and regular
expressions. A loop must run over a list written in the expression, with at most
`MAX_STEPS` steps in total, and must not build strings or lists: an
`l.map(x, s + s + …)` was seen to run for 17 s within the evaluator's own
budget, and thirty times `.map(x, [x, x])` makes a billion elements. A pattern
must be a literal that compiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.rules.problems import Problem, RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.rules.checked_pb2 import CheckedExpr, Expr

# About 0.2 µs a step in the evaluator: at most 0.2 ms a transaction.
MAX_STEPS = 1000
MAX_PATTERN_LENGTH = 256

_CONCATENATIONS = {"add_string", "add_bytes", "add_list"}
_PATTERNS = {"matches", "matches_string"}


def check_limits(checked: CheckedExpr, probe: Callable[[str], str | None], field: str) -> None:
    """Reject an expression that could take long.

    Args:
        checked: Checked tree of the expression.
        probe: Compiles a regular expression; returns the error message, or None.
        field: Field of the rule with the expression, for the message.

    Raises:
        RuleError: With every limit that is exceeded.

    """
    complaints = [
        *_loops(checked, checked.expr, 1),
        *_growth(checked.expr, frozenset()),
        *_patterns(checked, probe),
    ]
    if complaints:
        raise RuleError(
            tuple(Problem(field=field, message=said, hint=hint) for said, hint in complaints)
        )


def children(node: Expr) -> Iterator[Expr]:
    """Return the nodes directly below a node, in the order of evaluation."""
    kind = node.WhichOneof("expr_kind")
    if kind == "select_expr":
        yield node.select_expr.operand
    elif kind == "call_expr":
        if node.call_expr.HasField("target"):
            yield node.call_expr.target
        yield from node.call_expr.args
    elif kind == "list_expr":
        yield from node.list_expr.elements
    elif kind == "struct_expr":
        for entry in node.struct_expr.entries:
            if entry.HasField("map_key"):
                yield entry.map_key
            yield entry.value
    elif kind == "comprehension_expr":
        loop = node.comprehension_expr
        yield from (loop.iter_range, loop.accu_init, loop.loop_condition)
        yield from (loop.loop_step, loop.result)


def walk(node: Expr) -> Iterator[Expr]:
    """Return a node and all nodes below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def overloads(checked: CheckedExpr, node: Expr) -> set[str]:
    """Return the overload ids that the checker chose for a call."""
    return (
        set(checked.reference_map[node.id].overload_id)
        if node.id in checked.reference_map
        else set()
    )


def _loops(checked: CheckedExpr, node: Expr, steps: int) -> Iterator[tuple[str, str]]:
    if node.WhichOneof("expr_kind") != "comprehension_expr":
        if steps > 1 and overloads(checked, node) & _CONCATENATIONS and not _collects(node):
            yield "`+` joins strings or lists inside a loop", "join them outside, or compare parts"
        for child in children(node):
            yield from _loops(checked, child, steps)
        return
    loop = node.comprehension_expr
    size = _size(loop.iter_range)
    if size is None:
        yield (
            "a loop runs over something other than a list written out in the expression",
            "write the list in place, as in `['A', 'B'].exists(x, x == transaction.source)`",
        )
        return
    steps *= max(size, 2)
    if steps > MAX_STEPS:
        yield f"loops of {steps} steps, and {MAX_STEPS} is the most", "make the lists shorter"
        return
    yield from _loops(checked, loop.iter_range, 1)
    for part in (loop.accu_init, loop.loop_condition, loop.loop_step, loop.result):
        yield from _loops(checked, part, steps)


def _growth(node: Expr, variables: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Find lists and maps made of a loop's own variable: each could double the one before."""
    kind = node.WhichOneof("expr_kind")
    if kind in {"list_expr", "struct_expr"} and variables & _names(node):
        yield (
            "a loop makes lists or maps of its variable",
            "compare the variable itself, as in `['A', 'B'].exists(x, x == transaction.source)`",
        )
        return
    if kind != "comprehension_expr":
        # map() and filter() collect elements in their own list; check only the element.
        below = node.call_expr.args[1].list_expr.elements if _collects(node) else children(node)
        for child in below:
            yield from _growth(child, variables)
        return
    loop = node.comprehension_expr
    yield from _growth(loop.iter_range, variables)
    inside = variables | {loop.iter_var}
    for part in (loop.loop_condition, loop.loop_step, loop.result):
        yield from _growth(part, inside)


def _names(node: Expr) -> set[str]:
    """Return the variables that an expression reads."""
    return {n.ident_expr.name for n in walk(node) if n.WhichOneof("expr_kind") == "ident_expr"}


def _size(node: Expr) -> int | None:
    """Number of elements of a loop's range, or None if the text does not determine it."""
    kind = node.WhichOneof("expr_kind")
    if kind == "list_expr":
        return len(node.list_expr.elements)
    if kind == "struct_expr" and not node.struct_expr.message_name:
        return len(node.struct_expr.entries)
    if kind == "comprehension_expr":  # .map() and .filter() return at most as many elements
        return _size(node.comprehension_expr.iter_range)
    return None


def _collects(node: Expr) -> bool:
    """True if an addition is part of an expanded map() or filter(): result + [element]."""
    arguments = node.call_expr.args
    return (
        len(arguments) == 2
        and arguments[0].WhichOneof("expr_kind") == "ident_expr"
        and arguments[0].ident_expr.name in {"@result", "__result__"}
        and arguments[1].WhichOneof("expr_kind") == "list_expr"
    )


def _patterns(
    checked: CheckedExpr, probe: Callable[[str], str | None]
) -> Iterator[tuple[str, str]]:
    for node in walk(checked.expr):
        if not overloads(checked, node) & _PATTERNS:
            continue
        pattern = node.call_expr.args[-1]
        if pattern.WhichOneof("expr_kind") != "const_expr":
            yield "matches() needs its pattern as a literal", "write the pattern in quotes"
            continue
        text = pattern.const_expr.string_value
        if len(text) > MAX_PATTERN_LENGTH:
            yield f"a pattern of {len(text)} characters; {MAX_PATTERN_LENGTH} is the most", ""
        elif complaint := probe(text):
            yield complaint.removeprefix("INVALID_ARGUMENT: "), "patterns are RE2's (RE2 syntax)"
