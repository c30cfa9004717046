"""Hints for expressions written as in SQL, spreadsheets and other languages."""

from __future__ import annotations

import re

_STUMBLED = re.compile(r"(?:input|at:) '(.*?)'|(?<=identifier: )(\w+)", re.DOTALL)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_BOUNDS = "write both bounds, as in `transaction.amount > 5.0 && transaction.amount < 10.0`"
_LIST = "write a list, as in `transaction.country in ['DE', 'FR']`"
_SYNTAX = {
    "=>": "write `>=`",
    "=<": "write `<=`",
    ";": "leave the semicolon out",
    "between": _BOUNDS,
    "like": "write `.startsWith('a')`, `.contains('a')` or `.matches('^a')`",
    "is": "whether a field is there is asked with `has(transaction.…)`",
    "if": "write the condition alone; a choice is `condition ? one : other`",
    "then": "write the condition alone; a choice is `condition ? one : other`",
}
# By the first name in a message, whatever follows it.
_NAMES = {
    "lists": "there are no lists with names: write the values, as in "
    "`transaction.country in ['DE', 'FR']`",
    "math": "CEL has no `math`: write it out, as in `x < 0.0 ? -x : x` for the absolute value",
    "abs": "write it out, as in `x < 0.0 ? -x : x`",
    "strings": "text is compared as it is; for both cases use `.matches('(?i)^text$')`",
    **dict.fromkeys(
        ("lower", "upper", "toLowerCase", "toUpperCase", "lowerAscii", "upperAscii"),
        "text is compared as it is; for both cases use `.matches('(?i)^text$')`",
    ),
}
_OPERAND = r"(?:[\w.]+|'[^']*'|\"[^\"]*\")"
_CHAIN = re.compile(rf"\s*{_OPERAND}\s*[<>]=?")
_EQUALS = re.compile(rf"([\w.]+)\s*==\s*({_OPERAND})\s*$")
_LITERAL = re.compile(r"\s*('[^']*'|\"[^\"]*\"|-?\d[\d.]*)(?!\s*[=!<>.\w])")
# A comma, an underscore, or a point between groups of three digits.
_GROUPED = re.compile(r"\d{1,3}(?:[,_.]\d{3})+(?:[.,]\d+)?")


def hint_of_syntax(message: str, source: str, column: int) -> str:
    """Hint for a syntax error, or "".

    Args:
        message: The parser's message.
        source: Line of the expression with the error.
        column: Column of the error in that line, from 1.

    """
    rest = source[max(0, column - 1) :]
    match = _STUMBLED.search(message)
    stumbled = (match[1] or match[2] or "") if match else ""
    number = next((m for m in _GROUPED.finditer(source) if m.start() < column <= m.end()), None)
    if number:
        return f"write the number without separators: {_number(number[0])}"
    if rest.startswith("not in"):
        return "write `!(… in …)`"
    before = source[: max(0, column - 1)].split()
    for word in (stumbled, before[-1] if before else ""):
        if operator := _WORDS.get(word.lower()):
            return f"write `{operator}` for `{word}`"
    if stumbled == ">" and source[: column - 1].endswith("<"):
        return "write `!=` for `<>`"
    if stumbled == "," and re.search(r"\bin\s*\([^()]*$", source[: column - 1]):
        return _LIST
    return _SYNTAX.get(stumbled.strip().lower(), "")


def hint_of_name(name: str) -> str:
    """Hint for a name that CEL does not have, or ""."""
    operator = _WORDS.get(name.lower())
    return f"write `{operator}` for `{name}`" if operator else _NAMES.get(name, "")


def hint_of_operands(operator: str, types: list[str], source: str, column: int) -> str:
    """Hint for a comparison or a condition with operands of a wrong type, or "".

    Args:
        operator: Operator as it is written.
        types: Types of its operands.
        source: Line of the expression.
        column: Column of the operator in that line, from 1.

    """
    after = source[column - 1 + len(operator) :]
    if operator in {"<", "<=", ">", ">="} and ("bool" in types or _CHAIN.match(after)):
        return _BOUNDS
    if operator == "!" and types != ["bool"]:
        return "`!` takes a condition; whether a field is there is asked with `has(transaction.…)`"
    if operator not in {"||", "&&"} or set(types) == {"bool"}:
        return ""
    left = _EQUALS.search(source[: column - 1])
    right = _LITERAL.match(after)
    if operator == "||" and left and right:
        return f"write `{left[1]} in [{left[2]}, {right[1]}]`"
    return f"each side of `{operator}` is a separate condition: compare both, as in `a == b`"


def _number(grouped: str) -> str:
    """Remove the separators of groups from a number; the last one may be the decimal point."""
    digits = grouped
    decimals = re.search(r"[.,](\d+)$", grouped)
    whole = True
    if decimals and (len(decimals[1]) != 3 or len(set(re.findall(r"[.,_]", grouped))) > 1):
        digits, whole = grouped[: decimals.start()], False
    plain = re.sub(r"[.,_]", "", digits)
    return f"{plain}.0" if whole or decimals is None else f"{plain}.{decimals[1]}"
