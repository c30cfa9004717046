"""Nodes of an expression in a program: registers, or values that all rows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.programs import NEVER

if TYPE_CHECKING:
    from services.rules.checked_pb2 import Constant


class UnsupportedError(Exception):
    """The machine has no step for a node; the text names it."""


class Register(NamedTuple):
    """A value of each row.

    `at` is a bitmap for a bool, else a register of numbers, or the row of a text's starts. What
    a row has in it means nothing where bitmap `undecided` is true. `labels` are those of a code.
    """

    kind: str
    at: int
    undecided: int = NEVER
    labels: tuple[str, ...] = ()


class Literal(NamedTuple):
    """A value that all rows share."""

    kind: str
    value: str | float | int


Operand = Register | Literal


class Value(NamedTuple):
    """The value of an aggregate: "int" or "double", and whether a row may have none."""

    kind: str
    optional: bool


def literal(constant: Constant) -> Literal:
    """Read a constant.

    Raises:
        UnsupportedError: The machine has no values of its type.

    """
    match constant.WhichOneof("constant_kind"):
        case "bool_value":
            return Literal("bool", constant.bool_value)
        case "int64_value":
            return Literal("int", constant.int64_value)
        case "double_value":
            return Literal("double", constant.double_value)
        case "string_value":
            return Literal("string", constant.string_value)
        case other:
            raise UnsupportedError(other)
