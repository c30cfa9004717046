"""Steps for comparisons, by the kinds of what is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.operands import Literal, Register, UnsupportedError
from services.programs import IS
from services.programs import steps as s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.engine.operands import Operand
    from services.programs import Assembly

NUMBERS = frozenset({"int", "double", "timestamp"})
# By operator: two columns; a column and a constant; a constant and a column.
_DOUBLES = {
    "<": (s.LESS, s.BELOW, s.ABOVE),
    "<=": (s.LESS_EQUAL, s.UP_TO, s.FROM),
    "==": (s.EQUAL, s.SAME, s.SAME),
}
_INTS = {
    "<": (s.INT_LESS, s.INT_BELOW, s.INT_ABOVE),
    "<=": (s.INT_LESS_EQUAL, s.INT_UP_TO, s.INT_FROM),
    "==": (s.INT_EQUAL, s.INT_SAME, s.INT_SAME),
}


def truth(assembly: Assembly, operand: Operand) -> Register:
    """Return the register of a bool.

    Raises:
        UnsupportedError: It is no bool.

    """
    if operand.kind != "bool":
        raise UnsupportedError(operand.kind)
    if isinstance(operand, Literal):
        return Register("bool", assembly.bits(s.CONSTANT, whole=int(operand.value)))
    return operand


def column(assembly: Assembly, operand: Operand) -> Register:
    """Return the register of a number; that of a constant is filled with it.

    Raises:
        UnsupportedError: It is no number.

    """
    if operand.kind not in NUMBERS:
        raise UnsupportedError(operand.kind)
    if isinstance(operand, Register):
        return operand
    if operand.kind == "double":
        return Register("double", assembly.doubles(s.FILL, number=float(operand.value)))
    return Register(operand.kind, assembly.ints(s.INT_FILL, whole=int(operand.value)))


def compare(assembly: Assembly, operator: str, a: Operand, b: Operand) -> Register:
    """Add `a < b`, `a <= b` or `a == b` of numbers of one kind.

    Raises:
        UnsupportedError: They are of other kinds.

    """
    if a.kind != b.kind or a.kind not in NUMBERS:
        raise UnsupportedError(f"{a.kind} {operator} {b.kind}")
    columns, right, left = (_DOUBLES if a.kind == "double" else _INTS)[operator]
    if isinstance(b, Literal):
        return _with(assembly, right, column(assembly, a), b)
    if isinstance(a, Literal):
        return _with(assembly, left, b, a)
    undecided = assembly.any_of(a.undecided, b.undecided)
    return Register("bool", assembly.bits(columns, a.at, b.at), undecided)


def _with(assembly: Assembly, operation: int, a: Register, constant: Literal) -> Register:
    if constant.kind == "double":
        at = assembly.bits(operation, a.at, number=float(constant.value))
    else:
        at = assembly.bits(operation, a.at, whole=int(constant.value))
    return Register("bool", at, a.undecided)


def equal(assembly: Assembly, a: Operand, b: Operand) -> Register:
    """Add `a == b`.

    Raises:
        UnsupportedError: The machine cannot compare them.

    """
    if a.kind in NUMBERS:
        return compare(assembly, "==", a, b)
    if a.kind == b.kind == "bool":
        one, other = truth(assembly, a), truth(assembly, b)
        differ = assembly.bits(s.XOR, one.at, other.at)
        undecided = assembly.any_of(one.undecided, other.undecided)
        return Register("bool", assembly.bits(s.NOT, differ), undecided)
    if isinstance(a, Literal):
        a, b = b, a
    if isinstance(b, Literal) and b.kind == "string":
        return is_one_of(assembly, a, IS, [str(b.value)])
    if isinstance(a, Register) and isinstance(b, Register) and a.kind == b.kind:
        if a.kind == "string":
            return Register("bool", assembly.bits(s.TEXTS_EQUAL, a.at, b.at))
        if a.labels == b.labels:
            return Register("bool", assembly.bits(s.INT_EQUAL, a.at, b.at))
    raise UnsupportedError(f"{a.kind} == {b.kind}")


def is_one_of(assembly: Assembly, text: Operand, test: int, constants: Sequence[str]) -> Register:
    """Add a test of a text with constants, one of which has to hold.

    Raises:
        UnsupportedError: It is a constant itself, or no text; or the test is more than equality
            and the text is a code.

    """
    if isinstance(text, Literal):
        raise UnsupportedError("a test of a constant")
    if text.kind == "code" and test == IS:
        at = assembly.bits(s.CONSTANT)
        for constant in constants:
            if constant in text.labels or not constant:
                # A missing text is empty, and has the code -1.
                code = text.labels.index(constant) if constant else -1
                at = assembly.bits(s.OR, at, assembly.bits(s.INT_SAME, text.at, whole=code))
        return Register("bool", at)
    if text.kind != "string":
        raise UnsupportedError(text.kind)
    first = assembly.texts(constants)
    return Register("bool", assembly.bits(s.TEXT_IS, text.at, first, test, whole=len(constants)))
