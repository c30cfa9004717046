"""Parts of an expression that fail on every transaction.

A part without fields and aggregates has a constant value, so Google's evaluator computes
it when the rule is read. `duration("1d")` and `1 / 0` are found that way, instead of
failing on each transaction of the stream. A time zone must be such a part: the
evaluator would look for any name in a transaction among the files of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.rules.limits import children, overloads, walk
from services.rules.problems import Problem, RuleError
from services.rules.time_zones import zone_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.rules.checked_pb2 import CheckedExpr, Expr

_LITERALS = {"const_expr", "ident_expr", "select_expr", "list_expr"}
_DIVISIONS = {"divide_int64", "divide_uint64", "modulo_int64", "modulo_uint64"}
_HINTS = (
    ("Duration", 'write hours, minutes and seconds, as in duration("24h") or duration("1h30m")'),
    ("Timestamp", 'write the time with its offset, as in timestamp("2026-01-01T00:00:00Z")'),
    ("string to", "write the value itself, without the conversion"),
    ("by zero", "divide by another number; for decimals write 0.0"),
    ("timestamp overflow", "a time is in the years 1 to 9999; timestamp(1767268800) takes seconds"),
    ("overflow", "the value needs more than 64 bits: write decimals, as in 1e19"),
    ("out of", "the value needs more than 64 bits: write decimals, as in 1e19"),
    ("Index error", "the first element of a list has the index 0"),
    ("Key not found", "write a key that the map has"),
)


class _Failure(NamedTuple):
    """A part of an expression that always fails."""

    node: Expr
    message: str
    hint: str


def check_constants(
    checked: CheckedExpr, text: str, constant: Callable[[Expr], object], field: str
) -> None:
    """Reject an expression with a part that always fails.

    Args:
        checked: Checked tree of the expression.
        text: Text of the expression.
        constant: Evaluates a part without variables; raises ValueError with the
            evaluator's message if it fails.
        field: Field of the rule with the expression, for the message.

    Raises:
        RuleError: With the place of each such part.

    """
    found = [*_failures(checked, checked.expr, constant)]
    if found:
        raise RuleError(tuple(dict.fromkeys(_problem(f, checked, text, field) for f in found)))


def is_constant(node: Expr) -> bool:
    """True if a part reads no variables except those of its loops."""
    return not _free(node)


def _free(node: Expr) -> frozenset[str]:
    """The variables that a part reads."""
    kind = node.WhichOneof("expr_kind")
    if kind == "ident_expr":
        return frozenset({node.ident_expr.name})
    names = frozenset[str]().union(*(_free(child) for child in children(node)))
    if kind == "comprehension_expr":
        loop = node.comprehension_expr
        return _free(loop.iter_range) | (names - {loop.iter_var, loop.accu_var})
    return names


def _failures(
    checked: CheckedExpr, node: Expr, constant: Callable[[Expr], object]
) -> Iterator[_Failure]:
    """Find the smallest parts that fail."""
    inner = [f for child in children(node) for f in _failures(checked, child, constant)]
    yield from inner
    if inner or node.WhichOneof("expr_kind") in _LITERALS:
        return
    ids = overloads(checked, node)
    if any(each.endswith("_with_tz") for each in ids):
        yield from _zones(node.call_expr.args[-1], constant)
    elif is_constant(node):
        try:
            constant(node)
        except ValueError as error:
            message = str(error).split(": ", 1)[-1]
            yield _Failure(node, f"this fails on every transaction: {message}", _hint(message))
    elif ids and ids <= _DIVISIONS and _is_zero(node.call_expr.args[1], constant):
        message = "this fails on every transaction: a whole number is divided by zero"
        yield _Failure(node, message, _hint(message))


def _hint(message: str) -> str:
    return next((hint for words, hint in _HINTS if words in message), "leave it out")


def _is_zero(node: Expr, constant: Callable[[Expr], object]) -> bool:
    return is_constant(node) and constant(node) == 0


def _zones(node: Expr, constant: Callable[[Expr], object]) -> Iterator[_Failure]:
    """Check each time zone that an argument can have: all branches of a choice, or of a map."""
    call = node.call_expr
    if is_constant(node):
        problem = zone_problem(str(constant(node)))
        if problem:
            yield _Failure(node, *problem)
    elif call.function == "_?_:_":
        for branch in call.args[1:]:
            yield from _zones(branch, constant)
    elif call.function == "_[_]" and is_constant(call.args[0]):
        entries = call.args[0].struct_expr.entries
        for value in [*(e.value for e in entries), *call.args[0].list_expr.elements]:
            yield from _zones(value, constant)
    else:
        yield _Failure(
            node,
            "a time zone is read from the transaction, expected a constant",
            'write it in quotes, as in "Europe/Berlin"; choose among several with `? :`',
        )


def _problem(failure: _Failure, checked: CheckedExpr, text: str, field: str) -> Problem:
    positions = checked.source_info.positions
    placed = [positions[n.id] for n in walk(failure.node) if n.id in positions]
    begin = min(placed, default=0)
    if failure.node.WhichOneof("expr_kind") == "call_expr":
        while begin and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
            begin -= 1  # the position of a call is its parenthesis
    before = text[:begin]
    line = before.count("\n") + 1
    return Problem(
        field=field,
        message=failure.message,
        hint=failure.hint,
        line=line,
        column=begin - (before.rfind("\n") + 1) + 1,
        excerpt=text.split("\n")[line - 1],
    )
