"""CEL: from a schema to an environment, from text to a checked expression.

Google's own parser and type checker (cel-expr-python) does the work. The transaction
is declared to it as a message type made from the schema. So a misspelt field or a
wrong type is rejected when the rule is read, before any transaction is judged.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from cel_expr_python import cel
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.message import DecodeError

from services.rules import checked_pb2
from services.rules.constants import check_constants
from services.rules.hints import explain
from services.rules.limits import check_limits
from services.rules.problems import Problem, RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from services.transactions import Schema

_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {"int": cel.Type.INT, "double": cel.Type.DOUBLE}
_TYPES: dict[str, _FIELD.Type.ValueType] = {
    "string": _FIELD.TYPE_STRING,
    "currency": _FIELD.TYPE_STRING,
    "double": _FIELD.TYPE_DOUBLE,
    "int": _FIELD.TYPE_INT64,
    "bool": _FIELD.TYPE_BOOL,
    "timestamp": _FIELD.TYPE_MESSAGE,
}
_MESSAGE = "frauddetection.Transaction"
_CHECKED = "type.googleapis.com/cel.expr.CheckedExpr"
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

# cel-cpp's format: ERROR: <input>:LINE:COLUMN: MESSAGE, then two lines of excerpt.
# Only the first few errors are shown; the later ones usually follow from them.
_MOST_PROBLEMS = 10
_NO_VALUE = re.compile(r'No value with name "([^"]+)" found in Activation')
_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


class Nothing:
    """A missing value of an aggregate: every operation on it raises.

    Generated code gets it in the place of a number. For Google's evaluator the
    variable is unbound, so `false && x` is still false.
    """

    def _raise(self, *_: object) -> NoReturn:
        raise LookupError("no value")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __hash__ = __bool__ = __index__ = __float__ = __neg__ = __abs__ = _raise
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _raise
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _raise


NOTHING = Nothing()
NO_VALUE = "has no value"
"""Part of the result of `evaluate` if an expression needs an aggregate without a value."""


class Expression(msgspec.Struct, frozen=True):
    """A checked expression: its text, its tree, and Google's evaluator for it."""

    text: str
    checked: checked_pb2.CheckedExpr
    evaluator: cel.Expression


class Environment:
    """Compiles and evaluates expressions over the transactions of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        pool.Add(_describe(schema))
        self._message: type[Message] = message_factory.GetMessageClass(
            pool.FindMessageTypeByName(_MESSAGE)
        )
        self._pool = pool
        self._cel = self._with({})
        self._plain = tuple(f.name for f in schema.fields if f.type != "timestamp")
        self._times = tuple(f.name for f in schema.fields if f.type == "timestamp")

    def _with(self, variables: Mapping[str, str]) -> cel.Env:
        """Declare the transaction, and variables for numbers."""
        declared = {name: _KINDS[kind] for name, kind in variables.items()}
        return cel.NewEnv(
            descriptor_pool=self._pool,
            variables={"transaction": cel.Type(_MESSAGE), **declared},
        )

    def compile(
        self,
        text: str,
        field: str = "spec.expression",
        variables: Mapping[str, str] | None = None,
    ) -> Expression:
        """Check an expression and return it with its tree.

        Args:
            text: Text of the expression, a condition.
            field: Field of the rule with the expression, for messages.
            variables: Further names that it may read, each with "int" or "double".

        Raises:
            RuleError: It does not parse, does not check, is not a condition, or
                could stall the stream. Each problem has its place and a hint.

        """
        variables = variables or {}
        environment = self._with(variables) if variables else self._cel
        try:
            evaluator = environment.compile(text)
        except RuntimeError as error:
            raise RuleError(
                _problems(str(error), text, field, self.schema, tuple(variables))
            ) from None
        if str(evaluator.return_type()) != "BOOL":
            found = str(evaluator.return_type()).lower()
            raise RuleError(
                (
                    Problem(
                        field=field,
                        message=f"the expression gives a {found}, and a rule needs a condition",
                        hint="compare it, as in `transaction.amount >= 900.0`",
                    ),
                )
            )
        checked = _read_tree(evaluator.serialize(), field)
        check_limits(checked, self._matches, field)
        check_constants(checked, text, lambda node: self.constant(checked, node), field)
        return Expression(text, checked, evaluator)

    def part(self, checked: checked_pb2.CheckedExpr, node: checked_pb2.Expr) -> cel.Expression:
        """Make an evaluator for a part of a checked expression without aggregates."""
        part = checked_pb2.CheckedExpr()
        part.CopyFrom(checked)
        part.expr.CopyFrom(node)
        envelope = any_pb2.Any(type_url=_CHECKED, value=part.SerializeToString())
        return self._cel.deserialize(envelope.SerializeToString())

    def constant(self, checked: checked_pb2.CheckedExpr, node: checked_pb2.Expr) -> object:
        """Evaluate a part of an expression that reads no variable.

        Raises:
            ValueError: It fails; the text is the evaluator's message.

        """
        try:
            result = self.part(checked, node).eval(data={})
        except RuntimeError as error:
            raise ValueError(str(error)) from None
        if str(result.type()) == "ERROR":
            raise ValueError(str(result.value()))
        return result.value()

    def activation(self, transaction: Any, variables: Mapping[str, Any]) -> cel.Activation:  # noqa: ANN401 - a schema's own struct
        """Bind a transaction and variables for `evaluate`; the result serves many expressions.

        A variable whose value is `NOTHING` is not bound, so an expression that needs it fails.
        """
        values = {
            name: value for name in self._plain if (value := getattr(transaction, name)) is not None
        }
        message = self._message(**values)
        for name in self._times:
            value = getattr(transaction, name)
            if value is None:
                continue
            if isinstance(value, int):
                getattr(message, name).FromMilliseconds(value)
            else:
                # FromDatetime is not used, because it raises at both ends of the calendar.
                since = value - _EPOCH
                getattr(message, name).seconds = since.days * 86_400 + since.seconds
                getattr(message, name).nanos = since.microseconds * 1000
        bound = {name: value for name, value in variables.items() if value is not NOTHING}
        return self._cel.Activation({"transaction": message, **bound})

    def _matches(self, pattern: str) -> str | None:
        """Compile a regular expression; the evaluator's message, or None if it is valid."""
        probe = self._cel.compile("''.matches(" + _literal(pattern) + ")")
        result = probe.eval(data={})
        return str(result.value()) if str(result.type()) == "ERROR" else None


def evaluate(expression: Expression, activation: cel.Activation) -> bool | str:
    """Evaluate with Google's evaluator; returns true, false, or the text of an error."""
    try:
        result = expression.evaluator.eval(activation)
    except RuntimeError as error:  # a comprehension that exceeds its budget
        return str(error)
    value = result.value()
    if isinstance(value, bool):
        return value
    missing = _NO_VALUE.search(str(value))
    return f"`{missing[1]}` {NO_VALUE}: nothing is in its window" if missing else str(value)


def _describe(schema: Schema) -> descriptor_pb2.FileDescriptorProto:
    """Build the schema as a message type, in which each field has presence."""
    file = descriptor_pb2.FileDescriptorProto(
        name="frauddetection/transaction.proto", package="frauddetection", syntax="proto3"
    )
    file.dependency.append("google/protobuf/timestamp.proto")
    message = file.message_type.add(name="Transaction")
    for number, field in enumerate(schema.fields, start=1):
        entry = message.field.add(
            name=field.name,
            number=number,
            type=_TYPES[field.type],
            label=_FIELD.LABEL_OPTIONAL,
        )
        if field.type == "timestamp":
            entry.type_name = ".google.protobuf.Timestamp"
        else:
            entry.proto3_optional = True
            entry.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")
    return file


def _read_tree(serialized: bytes, field: str) -> checked_pb2.CheckedExpr:
    envelope = any_pb2.Any()
    checked = checked_pb2.CheckedExpr()
    try:
        envelope.ParseFromString(serialized)
        checked.ParseFromString(envelope.value)
    except DecodeError:  # protobuf reads at most 100 levels
        raise RuleError(
            (
                Problem(
                    field=field,
                    message="the expression is nested too deep",
                    hint="write it flatter, or as several rules",
                ),
            )
        ) from None
    return checked


def _problems(
    error: str, text: str, field: str, schema: Schema, variables: tuple[str, ...]
) -> tuple[Problem, ...]:
    lines = text.split("\n")
    found = []
    for line, column, message in (
        (int(a), int(b), c.removesuffix(" [INVALID_ARGUMENT]"))
        for a, b, c in _ERROR.findall(error)[:_MOST_PROBLEMS]
    ):
        placed = 0 < line <= len(lines)
        source = lines[line - 1] if placed else ""
        said, hint = explain(message, source, column, schema, variables)
        found.append(
            Problem(
                field=field,
                message=said,
                hint=hint,
                line=line if placed else 0,
                column=column if placed else 0,
                excerpt=source,
            )
        )
    if not found:
        said, hint = explain(error.split("\n", maxsplit=1)[0], "", 0, schema, variables)
        found.append(Problem(field=field, message=said, hint=hint))
    return tuple(dict.fromkeys(found))


def _literal(text: str) -> str:
    """Quote any text as a CEL string literal."""
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'
