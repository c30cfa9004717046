"""From the compiler's message to a hint for the author.

cel-cpp describes a problem in its own terms ("found no matching overload for
'_>=_' applied to '(double, int)'"). An analyst also needs the solution: write
`900.0`. The messages matched here are those of cel-expr-python 0.1.3. Unknown
messages are returned unchanged.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from services.rules.habits import hint_of_name, hint_of_operands, hint_of_syntax

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.transactions import Schema

_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '(.*)'")
_UNDEFINED_FIELD = re.compile(r"undefined field '([^']*)' not found in struct '[^']*'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_INTEGER_BEFORE = re.compile(r"(?<![\w.])(\d+)\s*$")
_INTEGER_AFTER = re.compile(r"\s*(-?\d+)(?![\w.])(?!\s*[*/%+-])")
_DECIMAL_BEFORE = re.compile(r"(?<![\w.])(\d+)\.(\d*)\s*$")
_DECIMAL_AFTER = re.compile(r"\s*(-?\d+)\.(\d*)(?![\w.])(?!\s*[*/%+-])")
_NAME_BEFORE = re.compile(r"(?<![\w.])([a-zA-Z_]\w*)\s*$")
_NAME_AFTER = re.compile(r"\s*([a-zA-Z_]\w*)(?![\w.(\[])")
_QUOTED_BEFORE = re.compile(r"""(["'])(.*?)\1\s*$""")
_QUOTED_AFTER = re.compile(r"""\s*(["'])(.*?)\1""")
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_STRAY = re.compile(r"token recognition error at: '(.)'", re.DOTALL)
_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb`\u00b4"
_NAMES = {"TRUE": "true", "True": "true", "FALSE": "false", "False": "false", "None": "null"}
# Functions of other languages, and how to write them in CEL.
_FORMS = {
    "has": "has(transaction.country)",
    "size": "size(transaction.source)",
    "matches": "transaction.source.matches('^[a-z]+$')",
    "contains": "transaction.source.contains('a')",
    "startsWith": "transaction.source.startsWith('a')",
    "endsWith": "transaction.source.endsWith('a')",
    "exists": "['A', 'B'].exists(x, x == transaction.source)",
    "all": "['A', 'B'].all(x, x != transaction.source)",
}
_OVER_WINDOWS = {"count", "countdistinct", "distinct", "sum", "avg", "average", "min", "max"}
_COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "in"}
_GUARD = "an aggregate that may have no value is guarded by a Count, as in `payments > 0 && …`"
_ADVICE = (
    (re.compile(r"token recognition error at: '= ?'?"), "compare with `==`"),
    (re.compile(r"token recognition error at: '&"), "write `&&`"),
    (re.compile(r"token recognition error at: '\|"), "write `||`"),
    (re.compile(r"token recognition error at: '['\"]"), "a string is not closed: add the quote"),
    (re.compile(r"mismatched input '<EOF>'"), "the expression breaks off: complete it"),
    (re.compile(r"recursion (limit|depth)"), "write it flatter, or as several rules"),
    (
        re.compile(r"invalid int literal"),
        "whole numbers reach 9223372036854775807; for more write a decimal, as in `1e19`",
    ),
)


def explain(
    message: str, source: str, column: int, schema: Schema, variables: tuple[str, ...] = ()
) -> tuple[str, str]:
    """Rewrite a compiler's message for people.

    Args:
        message: Message of the compiler, without its place.
        source: Line of the expression that it is about.
        column: Column in that line, from 1.
        schema: Schema with the names of fields, to find the intended one.
        variables: Names of the rule's aggregates, for the same purpose.

    Returns:
        The problem, and a hint ("" if there is none).

    """
    if match := _UNDEFINED_FIELD.search(message):
        return _unknown_field(match[1], schema, variables)
    if match := _UNDECLARED.search(message):
        return _unknown_name(match[1].split(".")[0], schema, variables)
    if match := _OVERLOAD.search(message):
        return _wrong_types(match[1], match[2], _Sides(source, column, variables))
    if (match := _STRAY.search(message)) and (advice := _stray(match[1])):
        return message, advice
    if variables and "has() argument" in message:
        return message, _GUARD
    if hint := hint_of_syntax(message, source, column):
        return message, hint
    return message, next((hint for pattern, hint in _ADVICE if pattern.search(message)), "")


def _stray(character: str) -> str:
    """Hint for a character that CEL does not know."""
    if not character.isprintable():
        return f"delete the invisible character U+{ord(character):04X}"
    if character in _QUOTES:
        return "write plain quotes, as in 'USD'"
    if character.isalpha() and not character.isascii():
        name = unicodedata.name(character, "unknown").lower()
        return f"this is a {name}; write a letter from a to z"
    return ""


def near(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the most similar name, or ""."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=cutoff)
    return close[0] if close else ""


def _unknown_field(name: str, schema: Schema, variables: tuple[str, ...]) -> tuple[str, str]:
    names = [field.name for field in schema.fields]
    said = f"a transaction has no field `{name}`"
    if name in variables:
        return said, f"it is an aggregate, and stands by itself: write `{name}`"
    if meant := near(name, names):
        return said, f"did you mean `transaction.{meant}`?"
    if meant := near(name, variables):
        return said, f"did you mean the aggregate `{meant}`?"
    return said, f"it has {', '.join(names)}"


def _unknown_name(name: str, schema: Schema, variables: tuple[str, ...]) -> tuple[str, str]:
    names = [field.name for field in schema.fields]
    meant = near(name, variables)
    if name in names:
        other = f", or did you mean `{meant}`?" if meant else ""
        return f"`{name}` is not known by itself", f"write `transaction.{name}`{other}"
    if name in variables:  # followed by a selection or a call
        return f"`{name}` is a number, and has no fields or functions", f"write `{name}`"
    if meant:
        return f"`{name}` is not known", f"did you mean `{meant}`?"
    if hint := hint_of_name(name):
        return f"`{name}` is not known", hint
    if name in _NAMES:
        return f"`{name}` is not known", f"write `{_NAMES[name]}`"
    if name.lower() in _OVER_WINDOWS:
        return (
            f"`{name}` is not known",
            "declare what is counted or added up in spec.aggregates, and write its name here",
        )
    if form := _FORMS.get(name):
        return f"`{name}` does not take this", f"write it as in `{form}`"
    if meant := near(name, ["transaction", *_FORMS]):
        return f"`{name}` is not known", f"did you mean `{meant}`?"
    known = ", ".join(f"`{known}`" for known in ("transaction", *variables))
    return (
        f"`{name}` is not known",
        f"expressions know {known} and CEL's standard functions; text stands in quotes",
    )


class _Sides(NamedTuple):
    """The texts on both sides of an operator: its line, and its column from 1."""

    source: str
    column: int
    variables: tuple[str, ...]

    def beside(
        self, operator: str, before: re.Pattern[str], after: re.Pattern[str], *, left: bool
    ) -> re.Match[str] | None:
        """Find a pattern directly to the left or to the right of the operator."""
        if left:
            return before.search(self.source[: self.column - 1])
        return after.match(self.source[self.column - 1 + len(operator) :])

    def aggregate(self, operator: str, *, left: bool) -> str:
        """Return the name of the aggregate on one side, or ""."""
        found = self.beside(operator, _NAME_BEFORE, _NAME_AFTER, left=left)
        return found[1] if found and found[1] in self.variables else ""


def _wrong_types(function: str, types: str, beside: _Sides) -> tuple[str, str]:
    if ".(" in types:  # a method: double.(string)
        return f"a {types.split('.(', maxsplit=1)[0]} has no `{function}` that takes this", ""
    operator = function.replace("@in", "in").strip("_").replace("_", "")
    sides = types[1:-1].split(", ")
    said = f"`{operator}` does not take ({', '.join(sides)})"
    if hint := hint_of_operands(operator, sides, beside.source, beside.column):
        return said, hint
    if operator == "%":
        return said, "a remainder is one of whole numbers"
    if set(sides) == {"double", "int"}:
        return said, _whole_and_decimal(operator, beside, int_is_left=sides[0] == "int")
    if sides[:1] == ["double"] and "list(int)" in sides[-1]:
        return said, "write the list's numbers as decimals, as in `[1.0, 2.0]`"
    if sides[:1] == ["int"] and "list(double)" in sides[-1]:
        return said, "write the list's numbers as whole ones, as in `[1, 2]`"
    if "string" in sides and operator not in _COMPARISONS:
        return said, ""
    if "string" in sides and {"double", "int"} & set(sides):
        return said, _text_and_number(operator, beside, text_is_left=sides[0] == "string")
    if "null_type" in sides:
        named = beside.aggregate(operator, left=sides[0] != "null_type")
        return (
            said,
            _GUARD if named else "whether a field is there is asked with `has(transaction.…)`",
        )
    return said, ""


def _text_and_number(operator: str, beside: _Sides, *, text_is_left: bool) -> str:
    if name := beside.aggregate(operator, left=not text_is_left):
        text = beside.beside(operator, _QUOTED_BEFORE, _QUOTED_AFTER, left=text_is_left)
        if text and _NUMBER.fullmatch(text[2]):
            return f"`{name}` is a number: leave the quotes out"
        return f"`{name}` is a number: compare it with one"
    if text_is_left:
        return "text is compared with text: put the value in quotes"
    return "a number is compared with a number: leave the quotes out"


def _whole_and_decimal(operator: str, beside: _Sides, *, int_is_left: bool) -> str:
    """Name the number beside the operator that must be written differently."""
    if whole := beside.beside(operator, _INTEGER_BEFORE, _INTEGER_AFTER, left=int_is_left):
        return f"write {whole[1]}.0"
    decimal = beside.beside(operator, _DECIMAL_BEFORE, _DECIMAL_AFTER, left=not int_is_left)
    if decimal and not decimal[2].strip("0"):
        return f"write {decimal[1]}"
    name = beside.aggregate(operator, left=int_is_left)
    return f"convert the whole number with `double({name or '…'})`"
