"""The meaning of a plain YAML scalar in kubectl.

kubectl reads a file with go-yaml 2 and sends it as JSON
(https://github.com/yaml/go-yaml/blob/v2/resolve.go), so `NO` is false, `1e3` is
1000 and `12:30` is text. PyYAML follows YAML 1.1 and reads many of them
differently. This module follows go-yaml, and then Go's JSON, which writes a
decimal without a fraction as a whole number.
"""

from __future__ import annotations

import math
import re

Scalar = str | bool | float | None
TAG = "tag:yaml.org,2002:"
_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_WORDS: dict[str, tuple[str, bool | float | None]] = {
    **dict.fromkeys(_TRUE, ("bool", True)),
    **dict.fromkeys(_FALSE, ("bool", False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("float", math.nan)),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("float", math.inf)),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("float", -math.inf)),
}
# strconv.ParseInt with base 0; underscores are removed first.
_WHOLE = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0([0-7]+)|(0|[1-9][0-9]*))"
)
_BASES = (16, 8, 2, 8, 10)
# In binary numbers go-yaml also accepts a sign after the prefix.
_BINARY = re.compile(r"0b([-+][01]+)")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# strconv.ParseFloat, which go-yaml uses for scalars that begin with a point.
_FRACTION = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_MAX_INT, _MAX_UINT = 2**63, 2**64
# From this value on Go's JSON writes an exponent (encoding/json, floatEncoder).
_EXPONENT_FROM = 1e21
_KINDS = ("str", "bool", "int", "float", "null")


def plain_value(text: str) -> Scalar:
    """Return the value of a scalar without quotes and without a tag.

    Args:
        text: Scalar as it is written.

    """
    return _resolve(text)[1]


def tagged_value(tag: str, text: str) -> Scalar:
    """Return the value of a scalar with an explicit tag, as `!!str 5`.

    Args:
        tag: One of YAML's tags, in its long form.
        text: Scalar as it is written, without its quotes.

    Raises:
        ValueError: The tag is not supported, or the text does not fit it.

    """
    kind = tag.removeprefix(TAG)
    if not tag.startswith(TAG) or kind not in _KINDS:
        shown = f"!!{kind}" if tag.startswith(TAG) else tag
        raise ValueError(f"could not determine a value for the tag '{shown}': leave the tag out")
    if kind == "str":
        return text
    found, value = _resolve(text)
    if kind != found and (kind, found) != ("float", "int"):
        raise ValueError(f"`{text}` is not a !!{kind}: leave the tag out, or write another value")
    return value


def _resolve(text: str) -> tuple[str, Scalar]:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-0123456789":
        digits = text.replace("_", "")
        whole = _whole(digits)
        return ("int", whole) if whole is not None else _decimal(digits, text)
    return _decimal(text.replace("_", ""), text) if _FRACTION.fullmatch(text) else ("str", text)


def _whole(digits: str) -> int | None:
    value = None
    if match := _WHOLE.fullmatch(digits):
        written = next(i for i in range(5) if match[i + 2] is not None)
        value = int(match[1] + match[written + 2], _BASES[written])
        if not match[1] and value < _MAX_UINT:
            return value
    elif match := _BINARY.fullmatch(digits):
        value = int(match[1], 2)
    return value if value is not None and -_MAX_INT <= value < _MAX_INT else None


def _decimal(digits: str, text: str) -> tuple[str, str | float]:
    if not _DECIMAL.fullmatch(digits):
        return "str", text
    value = float(digits)
    if math.isinf(value):  # strconv.ParseFloat rejects it: out of range
        return "str", text
    if value.is_integer() and abs(value) < _EXPONENT_FROM:
        return "float", int(value)
    return "float", value
