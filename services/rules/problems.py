"""The problems of a rule, written for the person who has to correct it."""

from __future__ import annotations

import msgspec

from services.errors import UserError
from services.transactions import printable

# Largest line of a message, and largest excerpt of an expression in it, in characters.
_MAX_LINE = 1000
_MAX_EXCERPT = 120


class Place(msgspec.Struct, frozen=True):
    """A place in a file: path, line and column, both counted from 1."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem: the field, what is wrong, and a hint.

    `line` and `column` count from 1 within the expression; they are 0 if the problem
    is not in an expression.
    """

    field: str
    message: str
    hint: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""

    def text(self) -> str:
        """Format the problem as plain text, with a caret below the place if there is one."""
        said = f"{self.field}: {self.message}" if self.field else self.message
        lines = [printable(said, _MAX_LINE)]
        if self.excerpt:
            begin = max(0, self.column - 1 - _MAX_EXCERPT // 2)
            shown = printable(self.excerpt[begin : begin + _MAX_EXCERPT])
            lines += [f"  {shown}", "  " + " " * (self.column - 1 - begin) + "^"]
        if self.hint:
            lines.append(f"  {printable(self.hint, _MAX_LINE)}")
        return "\n".join(lines)


class RuleError(UserError):
    """A rule cannot be used as it is; `problems` has the reasons and is never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.text() for problem in problems))
        self.problems = problems
