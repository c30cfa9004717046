"""From the compiler's message to what the author should write instead.

cel-cpp says what is wrong in its own terms ("found no matching overload for
'_>=_' applied to '(double, int)'"). An analyst needs the other half: write
`900.0`. The messages matched here are those of cel-expr-python 0.1.3; one that
is not recognised is passed on as it is.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.transactions import Schema

_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '(.*)'")
_UNDEFINED_FIELD = re.compile(r"undefined field '([^']*)' not found in struct '[^']*'")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_INTEGER_BEFORE = re.compile(r"(?<![\w.])(\d+)\s*$")
_INTEGER_AFTER = re.compile(r"\s*(-?\d+)(?![\w.])(?!\s*[*/%+-])")
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_STRAY = re.compile(r"token recognition error at: '(.)'", re.DOTALL)
_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb`\u00b4"
_NAMES = {"TRUE": "true", "True": "true", "FALSE": "false", "False": "false", "None": "null"}
# How the functions are written that people know from other languages.
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
_COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "in"}
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


def explain(message: str, source: str, column: int, schema: Schema) -> tuple[str, str]:
    """Say a compiler's message for people.

    Args:
        message: the compiler's message, without its place.
        source: the line of the expression that it is about.
        column: the place in that line, from 1.
        schema: the transaction's fields, for names that were meant.

    Returns:
        What is wrong, and the mend ("" when there is none to offer).

    """
    if match := _UNDEFINED_FIELD.search(message):
        return _unknown_field(match[1], schema)
    if match := _UNDECLARED.search(message):
        return _unknown_name(match[1].split(".")[0], schema)
    if match := _OVERLOAD.search(message):
        return _wrong_types(match[1], match[2], source, column)
    if (match := _STRAY.search(message)) and (advice := _stray(match[1])):
        return message, advice
    for pattern, advice in _ADVICE:
        if pattern.search(message):
            return message, advice
    if source[max(0, column - 1) :].startswith("not in"):
        return message, "write `!(… in …)`"
    for word, operator in _WORDS.items():
        if re.search(rf"input '{word}'", message):
            return message, f"write `{operator}` for `{word}`"
    return message, ""


def _stray(character: str) -> str:
    """Say what to do with a character that CEL does not know."""
    if not character.isprintable():
        return f"delete the invisible character U+{ord(character):04X}"
    if character in _QUOTES:
        return "write plain quotes, as in 'USD'"
    if character.isalpha() and not character.isascii():
        name = unicodedata.name(character, "unknown").lower()
        return f"this is a {name}; write a letter from a to z"
    return ""


def near(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or ""."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return close[0] if close else ""


def _unknown_field(name: str, schema: Schema) -> tuple[str, str]:
    names = [field.name for field in schema.fields]
    meant = near(name, names)
    mend = f"did you mean `transaction.{meant}`?" if meant else f"it has {', '.join(names)}"
    return f"a transaction has no field `{name}`", mend


def _unknown_name(name: str, schema: Schema) -> tuple[str, str]:
    names = [field.name for field in schema.fields]
    if name in names:
        return f"`{name}` is not known by itself", f"write `transaction.{name}`"
    if name in _WORDS:
        return f"`{name}` is not known", f"write `{_WORDS[name]}` for `{name}`"
    if name in _NAMES:
        return f"`{name}` is not known", f"write `{_NAMES[name]}`"
    if form := _FORMS.get(name):
        return f"`{name}` does not take this", f"write it as in `{form}`"
    if meant := near(name, ["transaction", *_FORMS]):
        return f"`{name}` is not known", f"did you mean `{meant}`?"
    return (
        f"`{name}` is not known",
        "expressions know `transaction` and CEL's standard functions; text stands in quotes",
    )


def _wrong_types(function: str, types: str, source: str, column: int) -> tuple[str, str]:
    if ".(" in types:  # a method: double.(string)
        return f"a {types.split('.(', maxsplit=1)[0]} has no `{function}` that takes this", ""
    operator = function.replace("@in", "in").strip("_").replace("_", "")
    sides = types[1:-1].split(", ")
    said = f"`{operator}` does not take ({', '.join(sides)})"
    if operator == "%":
        return said, "a remainder is one of whole numbers"
    if set(sides) == {"double", "int"}:
        return said, _decimal(source, operator, column, int_is_left=sides[0] == "int")
    if sides[:1] == ["double"] and "list(int)" in sides[-1]:
        return said, "write the list's numbers as decimals, as in `[1.0, 2.0]`"
    if "string" in sides and operator not in _COMPARISONS:
        return said, ""
    if sides in (["string", "int"], ["string", "double"]):
        return said, "text is compared with text: put the value in quotes"
    if "string" in sides and {"double", "int"} & set(sides):
        return said, "a number is compared with a number: leave the quotes out"
    if "null_type" in sides:
        return said, "whether a field is there is asked with `has(transaction.…)`"
    return said, ""


def _decimal(source: str, operator: str, column: int, *, int_is_left: bool) -> str:
    """Name the whole number beside the operator that has to be written as a decimal."""
    if int_is_left:
        beside = _INTEGER_BEFORE.search(source[: column - 1])
    else:
        beside = _INTEGER_AFTER.match(source[column - 1 + len(operator) :])
    if beside:
        return f"write {beside[1]}.0"
    return "convert the whole number with `double(…)`"
