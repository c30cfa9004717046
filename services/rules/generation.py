"""From a checked expression to Python code, which gives the evaluator's result faster.

Only the nodes below are generated, each because its Python result equals CEL's
whenever it returns. Where it would differ (an overflow, a division by zero)
the generated code raises, and the caller uses Google's evaluator. Any other node
raises `UnsupportedError`, and the whole rule is evaluated by Google's evaluator.
The code is built as a syntax tree, so text from a rule only ever becomes a constant
in it.
"""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, NamedTuple

from services.rules.limits import overloads
from services.rules.presence import field_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from services.rules.checked_pb2 import CheckedExpr, Constant, Expr
    from services.transactions import Schema

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_EMPTY: dict[str, str | float | int | bool] = {
    "string": "",
    "currency": "",
    "double": 0.0,
    "int": 0,
    "bool": False,
}
_KINDS = {"currency": "string"}

_COMPARISONS: dict[str, ast.cmpop] = {
    "less": ast.Lt(),
    "less_equals": ast.LtE(),
    "greater": ast.Gt(),
    "greater_equals": ast.GtE(),
}
_COMPARED = {"double": "double", "int64": "int", "string": "string"}
_ORDERS = {
    f"{order}_{suffix}": (operator, kind)
    for order, operator in _COMPARISONS.items()
    for suffix, kind in _COMPARED.items()
}
_DOUBLE_ARITHMETIC: dict[str, ast.operator] = {
    "add_double": ast.Add(),
    "subtract_double": ast.Sub(),
    "multiply_double": ast.Mult(),
    "divide_double": ast.Div(),  # by zero Python raises, and the evaluator returns inf or NaN
}
_INT_ARITHMETIC: dict[str, ast.operator] = {
    "add_int64": ast.Add(),
    "subtract_int64": ast.Sub(),
    "multiply_int64": ast.Mult(),
}
_MS_A_DAY = 86_400_000
# Epoch milliseconds, UTC. Floor division and modulo are right before 1970 too.
_CLOCK = {
    "timestamp_to_hours": (3_600_000, 0, 24),
    "timestamp_to_minutes": (60_000, 0, 60),
    "timestamp_to_seconds": (1_000, 0, 60),
    "timestamp_to_day_of_week": (_MS_A_DAY, 4, 7),  # 1970-01-01 was a Thursday, Sunday is 0
}


class UnsupportedError(Exception):
    """The expression has a node that only Google's evaluator can evaluate."""


class Code(NamedTuple):
    """A Python expression and the CEL kind of its value."""

    tree: ast.expr
    kind: str


def int64(value: int) -> int:
    """Return an int64 unchanged.

    Raises:
        OverflowError: The value is no int64; CEL reports an error where Python continues.

    """
    if _INT64_MIN <= value <= _INT64_MAX:
        return value
    raise OverflowError


def divide(a: int, b: int) -> int:
    """Divide as CEL and C do, towards zero.

    Raises:
        ZeroDivisionError: b is 0.
        OverflowError: The quotient is no int64.

    """
    quotient = abs(a) // abs(b)
    return int64(quotient if (a < 0) == (b < 0) else -quotient)


def modulo(a: int, b: int) -> int:
    """Compute the remainder as CEL and C do, with the sign of a.

    Raises:
        ZeroDivisionError: b is 0.
        OverflowError: INT64_MIN % -1, which overflows in C.

    """
    int64(a // b)
    remainder = abs(a) % abs(b)
    return -remainder if a < 0 else remainder


# Functions that generated code may call.
FUNCTIONS: dict[str, Callable[..., object]] = {
    "int64": int64,
    "divide": divide,
    "modulo": modulo,
    "len": len,
    "float": float,
}


class Generator:
    """Generates expressions over one schema, and records the fields that they read.

    Args:
        schema: Schema of the transactions.
        variables: Further names that may be read, each with "int" or "double".

    """

    def __init__(self, schema: Schema, variables: Mapping[str, str] | None = None) -> None:
        self._fields = {field.name: field for field in schema.fields}
        self._variables = variables or {}
        self.reads: set[str] = set()

    def generate(self, checked: CheckedExpr) -> ast.expr:
        """Generate a condition.

        Raises:
            UnsupportedError: A node is not on the list.

        """
        code = self._node(checked, checked.expr)
        return _of(code, "bool")

    def _node(self, checked: CheckedExpr, node: Expr) -> Code:
        match node.WhichOneof("expr_kind"):
            case "const_expr":
                return _constant(node.const_expr)
            case "ident_expr" if kind := self._variables.get(node.ident_expr.name):
                return Code(ast.Name(f"a_{node.ident_expr.name}", ast.Load()), kind)
            case "select_expr":
                return self._select(node)
            case "call_expr":
                return self._call(checked, node)
            case other:
                raise UnsupportedError(other)

    def _select(self, node: Expr) -> Code:
        name = field_of(node)
        if name is None:
            raise UnsupportedError("select")
        field = self._fields[name]
        self.reads.add(name)
        value = local(name)
        if node.select_expr.test_only:
            if name == "timestamp":
                return Code(ast.Constant(value=True), "bool")  # present in every transaction
            there = ast.Compare(value, [ast.IsNot()], [ast.Constant(value=None)])
            return Code(there, "bool")
        if field.type == "timestamp":
            if name != "timestamp":  # only the event time is always present, as an integer
                raise UnsupportedError(name)
            return Code(value, "timestamp")
        if not field.required and name != "id":
            value = ast.BoolOp(ast.Or(), [value, ast.Constant(value=_EMPTY[field.type])])
        return Code(value, _KINDS.get(field.type, field.type))

    def _call(self, checked: CheckedExpr, node: Expr) -> Code:
        chosen = overloads(checked, node)
        if len(chosen) != 1:  # a dyn operand: the overload is known only at run time
            raise UnsupportedError(node.call_expr.function)
        (overload,) = chosen
        call = node.call_expr
        if overload == "in_list":
            return self._contained(checked, call.args[0], call.args[1])
        operands = [call.target] if call.HasField("target") else []
        arguments = [self._node(checked, argument) for argument in (*operands, *call.args)]
        return _apply(overload, arguments)

    def _contained(self, checked: CheckedExpr, needle: Expr, stack: Expr) -> Code:
        if stack.WhichOneof("expr_kind") != "list_expr":
            raise UnsupportedError("in")
        value = self._node(checked, needle)
        elements = [self._node(checked, element) for element in stack.list_expr.elements]
        trees: list[ast.expr] = [_of(element, value.kind) for element in elements]
        constant = all(isinstance(tree, ast.Constant) for tree in trees)
        # A set of constants needs one hash look-up; Python and CEL agree on equal kinds.
        container = ast.Set(trees) if constant and trees else ast.Tuple(trees, ast.Load())
        return Code(ast.Compare(value.tree, [ast.In()], [container]), "bool")


def local(field: str) -> ast.expr:
    """The generated function's local variable for a field."""
    return ast.Name(f"f_{field}", ast.Load())


def _of(code: Code, kind: str) -> ast.expr:
    if code.kind != kind:
        raise UnsupportedError(f"{code.kind} for {kind}")
    return code.tree


def _constant(constant: Constant) -> Code:
    match constant.WhichOneof("constant_kind"):
        case "bool_value":
            return Code(ast.Constant(value=constant.bool_value), "bool")
        case "int64_value":
            return Code(ast.Constant(value=constant.int64_value), "int")
        case "double_value" if math.isfinite(constant.double_value):
            return Code(ast.Constant(value=constant.double_value), "double")
        case "string_value":
            return Code(ast.Constant(value=constant.string_value), "string")
        case other:
            raise UnsupportedError(other)


def _apply(overload: str, arguments: list[Code]) -> Code:
    trees = [argument.tree for argument in arguments]
    kinds = [argument.kind for argument in arguments]
    if overload in _ORDERS:
        operator, kind = _ORDERS[overload]
        return Code(
            ast.Compare(_of(arguments[0], kind), [operator], [_of(arguments[1], kind)]), "bool"
        )
    if overload in {"equals", "not_equals"} and kinds[0] == kinds[1]:
        same = ast.Eq() if overload == "equals" else ast.NotEq()
        return Code(ast.Compare(trees[0], [same], [trees[1]]), "bool")
    if overload in {"logical_and", "logical_or"} and kinds == ["bool", "bool"]:
        joint = ast.And() if overload == "logical_and" else ast.Or()
        return Code(ast.BoolOp(joint, trees), "bool")
    if overload == "logical_not":
        return Code(ast.UnaryOp(ast.Not(), _of(arguments[0], "bool")), "bool")
    if overload == "conditional" and kinds[1] == kinds[2]:
        return Code(ast.IfExp(_of(arguments[0], "bool"), trees[1], trees[2]), kinds[1])
    if overload in _CLOCK:
        return Code(_clock(_of(arguments[0], "timestamp"), *_CLOCK[overload]), "int")
    return _arithmetic(overload, arguments) or _text(overload, arguments)


def _arithmetic(overload: str, arguments: list[Code]) -> Code | None:
    trees = [argument.tree for argument in arguments]
    kinds = {argument.kind for argument in arguments}
    if overload in _DOUBLE_ARITHMETIC and kinds == {"double"}:
        return Code(ast.BinOp(trees[0], _DOUBLE_ARITHMETIC[overload], trees[1]), "double")
    if overload in _INT_ARITHMETIC and kinds == {"int"}:
        return Code(
            _function("int64", ast.BinOp(trees[0], _INT_ARITHMETIC[overload], trees[1])), "int"
        )
    if overload in {"divide_int64", "modulo_int64"} and kinds == {"int"}:
        return Code(_function(overload.removesuffix("_int64"), *trees), "int")
    if overload == "negate_int64" and kinds == {"int"}:
        return Code(_function("int64", ast.UnaryOp(ast.USub(), trees[0])), "int")
    if overload == "negate_double" and kinds == {"double"}:
        return Code(ast.UnaryOp(ast.USub(), trees[0]), "double")
    if overload == "int64_to_double" and kinds == {"int"}:
        return Code(_function("float", *trees), "double")
    return None


def _text(overload: str, arguments: list[Code]) -> Code:
    trees = [argument.tree for argument in arguments]
    if {argument.kind for argument in arguments} != {"string"}:
        raise UnsupportedError(overload)
    match overload:
        case "size_string" | "string_size":
            return Code(_function("len", *trees), "int")
        case "starts_with_string":
            return Code(_method(trees[0], "startswith", trees[1]), "bool")
        case "ends_with_string":
            return Code(_method(trees[0], "endswith", trees[1]), "bool")
        case "contains_string":
            return Code(ast.Compare(trees[1], [ast.In()], [trees[0]]), "bool")
        case "add_string":
            return Code(ast.BinOp(trees[0], ast.Add(), trees[1]), "string")
        case _:
            raise UnsupportedError(overload)


def _clock(time: ast.expr, unit_ms: int, shift: int, cycle: int) -> ast.expr:
    count: ast.expr = ast.BinOp(time, ast.FloorDiv(), ast.Constant(value=unit_ms))
    if shift:
        count = ast.BinOp(count, ast.Add(), ast.Constant(value=shift))
    return ast.BinOp(count, ast.Mod(), ast.Constant(value=cycle))


def _function(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _method(target: ast.expr, name: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(target, name, ast.Load()), [argument], [])
