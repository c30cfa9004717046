"""Random well-typed CEL expressions and random transactions, both from a seed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.rules import THURSDAY_NOON_MS, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from services.transactions import Schema

SCHEMA = """
fields:
- {name: source, type: string, required: true}
- {name: amount, type: double, required: true}
- {name: count, type: int, required: true}
- {name: trusted, type: bool, required: true}
- {name: currency, type: currency, required: true}
- {name: id, type: string}
- {name: timestamp, type: timestamp, minimum: "1950-01-01T00:00:00Z"}
- {name: settled, type: timestamp}
- {name: note, type: string}
- {name: fee, type: double}
- {name: retries, type: int}
- {name: abroad, type: bool}
- {name: refund, type: currency}
"""

_FIELDS: dict[str, tuple[str, ...]] = {
    "bool": ("trusted", "abroad"),
    "int": ("count", "retries"),
    "double": ("amount", "fee"),
    "string": ("source", "id", "note", "currency", "refund"),
}
_ALL = ("source", "amount", "count", "trusted", "currency", "id", "timestamp", "settled", "note")
_OPTIONAL = ("id", "timestamp", "settled", "note", "fee", "retries", "abroad", "refund")

INT64_MAX = 2**63 - 1
INTS = (
    *(0, 0, 1, -1, 2, -2, 3, 7, -7, 10, 60, 900, 4_294_967_296, -4_294_967_296),
    *(3_037_000_499, 3_037_000_500, 2**53, 2**53 + 1, 2**62, -(2**62)),
    *(INT64_MAX, INT64_MAX - 1, -INT64_MAX, -INT64_MAX - 1),
)
DOUBLES = (
    *(0.0, -0.0, 1.0, -1.0, 0.1, 0.2, 0.30000000000000004, 899.99, 900.0, 1e-320, 5e-324),
    *(9007199254740993.0, 1e19, -1e19, 1e200, -1e200, 1.7976931348623157e308),
)
TEXTS = (
    *(
        "",
        "a",
        "b",
        "ab",
        "abc",
        "A",
        "USD",
        "EUR",
        "alice",
        "é",
        "e\u0301",
        "ß",
        "ss",
        "日本",
        "本",
    ),
    *(
        "😀",
        "😀😀",
        "👩\u200d👩\u200d👧",
        "\uffee",
        "\U00010000",
        "'",
        '"',
        "\\",
        "\n",
        "\x00",
        "a\x00b",
        " ",
    ),
)
TIMES_MS = (
    *(0, -1, 1, -86_400_000, -600_000_000_000, 86_399_999, 86_400_000, 951_782_400_000),
    *(THURSDAY_NOON_MS, THURSDAY_NOON_MS - 1, 1_709_251_199_999, 4_102_444_800_000),
    *(253_402_300_799_999,),
)
_ZONES = ("'Europe/Berlin'", "'UTC'", "'-08:00'")


def text_literal(text: str) -> str:
    """A CEL literal, with what is printable as itself."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    return (
        '"' + "".join(escapes.get(c) or (c if c >= " " else f"\\x{ord(c):02x}") for c in text) + '"'
    )


class ExpressionSource:
    """Makes conditions of all nodes that are generated and, more rarely, of some that are not."""

    def __init__(self, random: Random, unusual: float = 0.05) -> None:
        self._random = random
        self._unusual = unusual
        self._makers: dict[str, tuple[Sequence[Callable[[int], str]], ...]] = {
            "bool": (self._usual_bools(), self._unusual_bools()),
            "int": (self._usual_ints(), self._unusual_ints()),
            "double": (self._usual_doubles(), self._unusual_doubles()),
            "string": (self._usual_strings(), self._unusual_strings()),
            "timestamp": ((self._event_time,), (self._other_time,)),
        }

    def condition(self) -> str:
        """A random condition."""
        return self._one_of(self._makers["bool"][0], self._random.randint(1, 5))

    def _make(self, kind: str, depth: int) -> str:
        if depth <= 0:
            return self._leaf(kind)
        usual, unusual = self._makers[kind]
        if self._random.random() < self._unusual:
            return self._one_of(unusual, depth)
        if self._random.random() < 0.15:
            return self._leaf(kind)
        if self._random.random() < 0.08:
            return self._ternary(kind, depth)
        return self._one_of(usual, depth)

    def _one_of(self, makers: Sequence[Callable[[int], str]], depth: int) -> str:
        return self._random.choice(makers)(depth - 1)

    def _leaf(self, kind: str) -> str:
        if kind == "timestamp":
            return self._event_time(0)
        if self._random.random() < 0.6:
            return f"transaction.{self._random.choice(_FIELDS[kind])}"
        return self._literal(kind)

    def _literal(self, kind: str) -> str:
        choose = self._random.choice
        match kind:
            case "bool":
                return choose(("true", "false"))
            case "int":
                return str(choose(INTS))
            case "double":
                return repr(choose(DOUBLES))
            case _:
                return text_literal(choose(TEXTS))

    def _ternary(self, kind: str, depth: int) -> str:
        yes, no = self._make(kind, depth - 1), self._make(kind, depth - 1)
        return f"({self._make('bool', depth - 1)} ? {yes} : {no})"

    def _binary(self, kind: str, *operators: str) -> Callable[[int], str]:
        def make(depth: int) -> str:
            operator = self._random.choice(operators)
            return f"({self._make(kind, depth)} {operator} {self._make(kind, depth)})"

        return make

    def _form(self, template: str, *kinds: str) -> Callable[[int], str]:
        return lambda depth: template.format(*(self._make(kind, depth) for kind in kinds))

    def _usual_bools(self) -> tuple[Callable[[int], str], ...]:
        orders = ("<", "<=", ">", ">=", "==", "!=")
        return (
            *(self._binary(kind, *orders) for kind in ("int", "int", "int", "double", "string")),
            *(self._binary("bool", "&&", "||") for _ in range(4)),
            self._binary("bool", "==", "!="),
            self._binary("timestamp", "==", "!="),
            self._form("!{}", "bool"),
            lambda _: f"has(transaction.{self._random.choice((*_ALL, *_OPTIONAL))})",
            self._contained,
            self._form("{}.startsWith({})", "string", "string"),
            self._form("{}.endsWith({})", "string", "string"),
            self._form("{}.contains({})", "string", "string"),
        )

    def _unusual_bools(self) -> tuple[Callable[[int], str], ...]:
        return (
            self._binary("bool", "<", ">="),
            self._binary("timestamp", "<", ">="),
            self._form("{}.matches('^[a-z😀]+$')", "string"),
            lambda _: f"['a', 'é', ''].exists(x, x == {self._leaf('string')})",
            lambda _: f"[1, 0, -1].all(x, x < {self._leaf('int')} / 2)",
            self._form("({} in {{'a': 1, 'USD': 2}})", "string"),
            self._form("({} in [[1, 2], [3]][0])", "int"),
            self._form("(dyn({}) == {})", "int", "double"),
        )

    def _contained(self, depth: int) -> str:
        kind = self._random.choice(("int", "double", "string", "bool"))
        make = self._random.choice((self._literal, self._leaf, lambda k: self._make(k, depth)))
        elements = ", ".join(make(kind) for _ in range(self._random.randint(0, 4)))
        return f"({self._make(kind, depth)} in [{elements}])"

    def _usual_ints(self) -> tuple[Callable[[int], str], ...]:
        return (
            *(self._binary("int", operator) for operator in "+-*/%"),
            self._form("-({})", "int"),
            self._form("size({})", "string"),
            self._form("{}.size()", "string"),
            self._form("{}.getHours()", "timestamp"),
            self._form("{}.getMinutes()", "timestamp"),
            self._form("{}.getSeconds()", "timestamp"),
            self._form("{}.getDayOfWeek()", "timestamp"),
        )

    def _unusual_ints(self) -> tuple[Callable[[int], str], ...]:
        return (
            self._form("{}.getFullYear()", "timestamp"),
            self._form("{}.getMilliseconds()", "timestamp"),
            self._form("int({})", "double"),
            self._form("int({})", "string"),
            self._form("size([1, {}])", "int"),
            lambda d: f"{self._make('timestamp', d)}.getHours({self._random.choice(_ZONES)})",
        )

    def _usual_doubles(self) -> tuple[Callable[[int], str], ...]:
        return (
            *(self._binary("double", operator) for operator in "+-*/"),
            self._form("-({})", "double"),
            self._form("double({})", "int"),
        )

    def _unusual_doubles(self) -> tuple[Callable[[int], str], ...]:
        return (self._form("double({})", "string"), self._form("[1.5, {}][1]", "double"))

    def _usual_strings(self) -> tuple[Callable[[int], str], ...]:
        return (self._binary("string", "+"), self._binary("string", "+"))

    def _unusual_strings(self) -> tuple[Callable[[int], str], ...]:
        return (self._form("string({})", "int"), self._form("['a', {}][1]", "string"))

    def _event_time(self, _depth: int) -> str:
        return "transaction.timestamp"

    def _other_time(self, _depth: int) -> str:
        return self._random.choice(("transaction.settled", "timestamp('2024-02-29T23:59:59.5Z')"))


def random_transaction(schema: Schema, random: Random) -> Any:
    """A transaction of SCHEMA, through JSON and the decoder as on the stream."""
    values: dict[str, object] = {
        "source": _text(random),
        "amount": _double(random),
        "count": _int(random),
        "trusted": random.random() < 0.5,
        "currency": random.choice(("USD", "EUR", "JPY")),
    }
    optional: dict[str, Callable[[], object]] = {
        "id": lambda: _text(random),
        "timestamp": lambda: _time(random),
        "settled": lambda: _time(random),
        "note": lambda: _text(random),
        "fee": lambda: _double(random),
        "retries": lambda: _int(random),
        "abroad": lambda: random.random() < 0.5,
        "refund": lambda: random.choice(("USD", "EUR")),
    }
    for name, make in optional.items():
        if random.random() < 0.6:
            values[name] = make()
    return decode(schema, json.loads(json.dumps(values)), random.choice(TIMES_MS))


def _text(random: Random) -> str:
    return "".join(random.choice(TEXTS) for _ in range(random.randint(0, 2)))


def _int(random: Random) -> int:
    return random.choice(INTS) if random.random() < 0.7 else random.randint(-20, 20)


def _double(random: Random) -> float:
    return random.choice(DOUBLES) if random.random() < 0.7 else random.uniform(-10, 10)


def _time(random: Random) -> int | str:
    if random.random() < 0.2:
        return "2024-02-29T23:30:00.25+05:30"
    return random.choice(TIMES_MS) if random.random() < 0.5 else random.randint(0, 2**41)
