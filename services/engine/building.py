"""From checked expressions to one program over columns.

Each condition becomes two bitmaps: where it is true, and where it is undecided. A row is undecided
where an operation has no result in the machine (an overflow, a division by zero, an aggregate
without a value), or where the machine lacks the operation. There Google's evaluator decides, unless
`false && x` or `true || x` makes x irrelevant.

A field that a transaction lacks has the empty value of its type, as in a protobuf message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.columns import Kind, places_of
from services.engine.comparing import column, compare, equal, is_one_of, truth
from services.engine.operands import Literal, Register, UnsupportedError, literal
from services.programs import BEGINS, CONTAINS, ENDS, IS, NEVER, Assembly
from services.programs import steps as s
from services.rules.limits import overloads
from services.rules.presence import field_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.columns import Place
    from services.engine.operands import Operand, Value
    from services.programs import Code
    from services.rules.checked_pb2 import CheckedExpr, Expr
    from services.transactions import Schema

# Operator, and whether the operands are swapped.
_ORDERS = {
    "less": ("<", False),
    "less_equals": ("<=", False),
    "greater": ("<", True),
    "greater_equals": ("<=", True),
}
_COMPARISONS = {
    f"{order}_{kind}": found
    for order, found in _ORDERS.items()
    for kind in ("double", "int64", "timestamp")
}
_DOUBLE_ARITHMETIC = {
    "add_double": s.ADD,
    "subtract_double": s.SUBTRACT,
    "multiply_double": s.MULTIPLY,
    "divide_double": s.DIVIDE,
}
_INT_ARITHMETIC = {
    "add_int64": s.INT_ADD,
    "subtract_int64": s.INT_SUBTRACT,
    "multiply_int64": s.INT_MULTIPLY,
    "divide_int64": s.INT_DIVIDE,
    "modulo_int64": s.INT_MODULO,
}
# Microseconds a unit, shift and cycle; 1970-01-01 was a Thursday, and Sunday is 0.
_CLOCK = {
    "timestamp_to_hours": (3_600_000_000, 0, 24),
    "timestamp_to_minutes": (60_000_000, 0, 60),
    "timestamp_to_seconds": (1_000_000, 0, 60),
    "timestamp_to_day_of_week": (86_400_000_000, 4, 7),
}
_TEXT_TESTS = {
    "starts_with_string": BEGINS,
    "ends_with_string": ENDS,
    "contains_string": CONTAINS,
}
# Of the years 1 to 9999, those of google.protobuf.Timestamp.
_FIRST_MICROS, _LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
_KINDS = {
    Kind.TEXT: "string",
    Kind.DOUBLE: "double",
    Kind.INT: "int",
    Kind.TIMESTAMP: "timestamp",
    Kind.BOOL: "bool",
}


class _Condition(NamedTuple):
    """The condition that is being added, and the numbers of its values by name."""

    checked: CheckedExpr
    variables: Mapping[str, int]


class Builder:
    """Builds a program, condition by condition.

    Args:
        schema: Schema of the transactions.
        values: Values of aggregates that conditions may read.

    """

    def __init__(self, schema: Schema, values: Sequence[Value] = ()) -> None:
        self._places = places_of(schema)
        self._required = {field.name for field in schema.fields if field.required}
        self._values = values
        self._assembly = Assembly(len(values))

    def code(self) -> Code:
        """Return the program of the conditions so far."""
        return self._assembly.code()

    def add(self, checked: CheckedExpr, variables: Mapping[str, int]) -> Register:
        """Add a condition; return its register, which is false where it is undecided.

        Args:
            checked: A condition.
            variables: Numbers of the values that it reads, by name.

        """
        found = self._truth(_Condition(checked, variables), checked.expr)
        if found.undecided == NEVER:
            return found
        return found._replace(at=self._assembly.bits(s.AND_NOT, found.at, found.undecided))

    def _truth(self, condition: _Condition, node: Expr) -> Register:
        """Add a bool; it is undecided for all rows if the machine cannot compute it."""
        try:
            return truth(self._assembly, self._node(condition, node))
        except UnsupportedError:
            bits = self._assembly.bits
            return Register("bool", bits(s.CONSTANT), bits(s.CONSTANT, whole=1))

    def _node(self, condition: _Condition, node: Expr) -> Operand:
        match node.WhichOneof("expr_kind"):
            case "const_expr":
                return literal(node.const_expr)
            case "ident_expr" if node.ident_expr.name in condition.variables:
                return self._value(condition.variables[node.ident_expr.name])
            case "select_expr":
                return self._select(node)
            case "call_expr":
                return self._call(condition, node)
            case other:
                raise UnsupportedError(other)

    def _value(self, number: int) -> Register:
        value = self._values[number]
        undecided = NEVER
        if value.optional:
            undecided = self._assembly.bits(s.NOT, self._assembly.bits(s.HAS_VALUE, number))
        return Register(value.kind, ~number, undecided)

    def _select(self, node: Expr) -> Operand:
        name = field_of(node)
        if name is None:
            raise UnsupportedError("select")
        place = self._places[name]
        if node.select_expr.test_only:
            if name in {"timestamp", "id"}:  # the record has one for each transaction
                return Literal("bool", value=True)
            return Register("bool", self._assembly.bits(s.FLAG, place.flag))
        if place.kind == Kind.CODE:
            return self._code(name, place)
        if place.kind == Kind.BOOL:
            return Register("bool", self._assembly.bits(s.FLAG, place.row))
        undecided = NEVER
        if place.kind == Kind.TIMESTAMP and name != "timestamp":
            # RFC 3339 with an offset can be outside of UTC's years, where a Timestamp is invalid.
            early = self._assembly.bits(s.INT_BELOW, place.row, whole=_FIRST_MICROS)
            late = self._assembly.bits(s.INT_ABOVE, place.row, whole=_LAST_MICROS)
            undecided = self._assembly.any_of(early, late)
        return Register(_KINDS[place.kind], place.row, undecided)

    def _code(self, name: str, place: Place) -> Register:
        if "" in place.labels:
            raise UnsupportedError("an empty label")
        at = place.row
        if name not in self._required:
            at = self._assembly.ints(s.CODE, at, place.flag)
        return Register("code", at, labels=place.labels)

    def _call(self, condition: _Condition, node: Expr) -> Operand:
        chosen = overloads(condition.checked, node)
        if len(chosen) != 1:  # a dyn operand: the overload is known only at run time
            raise UnsupportedError(node.call_expr.function)
        (overload,) = chosen
        call = node.call_expr
        nodes = [*([call.target] if call.HasField("target") else []), *call.args]
        if overload in {"logical_and", "logical_or"}:
            a, b = (self._truth(condition, argument) for argument in nodes)
            return self._joint(a, b, conjunction=overload == "logical_and")
        if overload == "in_list":
            return self._contained(condition, *nodes)
        operands = [self._node(condition, argument) for argument in nodes]
        return self._compared(overload, operands) or self._computed(overload, operands)

    def _joint(self, a: Register, b: Register, *, conjunction: bool) -> Register:
        """Add `a && b` or `a || b`: a side that decides alone makes the other one irrelevant."""
        bits = self._assembly.bits
        parts = [
            bits(s.AND, side.undecided, self._open(other, conjunction=conjunction))
            for side, other in ((a, b), (b, a))
            if side.undecided != NEVER
        ]
        at = bits(s.AND if conjunction else s.OR, a.at, b.at)
        return Register("bool", at, self._assembly.any_of(*parts))

    def _open(self, side: Register, *, conjunction: bool) -> int:
        """Return where one side does not decide alone."""
        at = side.at if conjunction else self._assembly.bits(s.NOT, side.at)
        return self._assembly.any_of(at, side.undecided)

    def _contained(self, condition: _Condition, needle: Expr, stack: Expr) -> Register:
        if stack.WhichOneof("expr_kind") != "list_expr":
            raise UnsupportedError("in")
        value = self._node(condition, needle)
        elements = [self._node(condition, element) for element in stack.list_expr.elements]
        texts = [str(e.value) for e in elements if isinstance(e, Literal) and e.kind == "string"]
        if texts and len(texts) == len(elements):
            return is_one_of(self._assembly, value, IS, texts)
        found = [equal(self._assembly, value, element) for element in elements]
        at = self._assembly.bits(s.CONSTANT)
        for one in found:
            at = self._assembly.bits(s.OR, at, one.at)
        # The list as a whole fails, also if another element is equal.
        parts = [one.undecided for one in found]
        if isinstance(value, Register):
            parts.append(value.undecided)
        return Register("bool", at, self._assembly.any_of(*parts))

    def _compared(self, overload: str, operands: list[Operand]) -> Register | None:
        """Add a comparison, a negation or a choice; None if it is something else."""
        assembly = self._assembly
        if overload in _COMPARISONS:
            operator, swapped = _COMPARISONS[overload]
            return compare(assembly, operator, *(operands[::-1] if swapped else operands))
        if overload in {"equals", "not_equals"}:
            same = equal(assembly, *operands)
            return same if overload == "equals" else _not(assembly, same)
        if overload == "logical_not":
            return _not(assembly, truth(assembly, operands[0]))
        if overload == "conditional":
            return self._chosen(truth(assembly, operands[0]), *operands[1:])
        return None

    def _chosen(self, test: Register, yes: Operand, no: Operand) -> Register:
        """Add `test ? yes : no`."""
        assembly = self._assembly
        kind = yes.kind
        if kind != no.kind:
            raise UnsupportedError("conditional")
        if kind == "bool":
            a, b = truth(assembly, yes), truth(assembly, no)
            taken = assembly.bits(s.AND, test.at, a.at), assembly.bits(s.AND_NOT, b.at, test.at)
            at = assembly.bits(s.OR, *taken)
        else:
            a, b = column(assembly, yes), column(assembly, no)
            if kind == "double":
                at = assembly.doubles(s.CHOOSE, a.at, b.at, test.at)
            else:
                at = assembly.ints(s.INT_CHOOSE, a.at, b.at, test.at)
        parts = [test.undecided]
        if a.undecided != NEVER:
            parts.append(assembly.bits(s.AND, test.at, a.undecided))
        if b.undecided != NEVER:
            parts.append(assembly.bits(s.AND_NOT, b.undecided, test.at))
        return Register(kind, at, assembly.any_of(*parts))

    def _computed(self, overload: str, operands: list[Operand]) -> Register:
        """Add a test of a text, its size, a part of a time, or arithmetic."""
        assembly = self._assembly
        first = operands[0]
        if overload in _TEXT_TESTS and isinstance(operands[1], Literal):
            return is_one_of(assembly, first, _TEXT_TESTS[overload], [str(operands[1].value)])
        if overload in {"size_string", "string_size"} and isinstance(first, Register):
            if first.kind != "string":
                raise UnsupportedError(first.kind)
            return Register("int", assembly.ints(s.CHARACTERS, first.at))
        columns = [column(assembly, operand) for operand in operands]
        at = [one.at for one in columns]
        undecided = assembly.any_of(*(one.undecided for one in columns))
        if overload in _CLOCK:
            unit, shift, cycle = _CLOCK[overload]
            return Register(
                "int", assembly.ints(s.CLOCK, at[0], shift, cycle, whole=unit), undecided
            )
        if overload in _DOUBLE_ARITHMETIC:
            return Register(
                "double", assembly.doubles(_DOUBLE_ARITHMETIC[overload], *at), undecided
            )
        if overload == "negate_double":
            return Register("double", assembly.doubles(s.NEGATE, *at), undecided)
        if overload == "int64_to_double":
            return Register("double", assembly.doubles(s.DOUBLE_OF, *at), undecided)
        if overload == "negate_int64":
            overload, at = "subtract_int64", [assembly.ints(s.INT_FILL, whole=0), *at]
        if overload in _INT_ARITHMETIC:
            result, failed = assembly.checked_ints(_INT_ARITHMETIC[overload], *at)
            return Register("int", result, assembly.any_of(undecided, failed))
        raise UnsupportedError(overload)


def _not(assembly: Assembly, of: Register) -> Register:
    return of._replace(at=assembly.bits(s.NOT, of.at))
