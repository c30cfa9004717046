"""What can be wrong with a rule, said for the person who has to mend it."""

from __future__ import annotations

import msgspec

from services.transactions import printable

# A line of a message, and the part of an expression that is shown with it, in characters.
_MAX_LINE = 1000
_MAX_EXCERPT = 120


class Place(msgspec.Struct, frozen=True):
    """Where in a file: path, line and column, both counted from 1."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, the field it is in, and the mend.

    `line` and `column` count from 1 within the expression; 0 where the problem
    is not in an expression.
    """

    field: str
    message: str
    mend: str = ""
    line: int = 0
    column: int = 0
    excerpt: str = ""

    def text(self) -> str:
        """The problem in lines of plain text, with a caret under the place if there is one."""
        said = f"{self.field}: {self.message}" if self.field else self.message
        lines = [printable(said, _MAX_LINE)]
        if self.excerpt:
            begin = max(0, self.column - 1 - _MAX_EXCERPT // 2)
            shown = printable(self.excerpt[begin : begin + _MAX_EXCERPT])
            lines += [f"  {shown}", "  " + " " * (self.column - 1 - begin) + "^"]
        if self.mend:
            lines.append(f"  {printable(self.mend, _MAX_LINE)}")
        return "\n".join(lines)


class RuleError(Exception):
    """A rule cannot be used as it is; `problems` says why, never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.text() for problem in problems))
        self.problems = problems
