"""What can be wrong with a rule, said for the person who has to mend it."""

from __future__ import annotations

import msgspec


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
        lines = [f"{self.field}: {self.message}" if self.field else self.message]
        if self.excerpt:
            lines += [f"  {self.excerpt}", "  " + " " * (self.column - 1) + "^"]
        if self.mend:
            lines.append(f"  {self.mend}")
        return "\n".join(lines)


class RuleError(Exception):
    """A rule cannot be used as it is; `problems` says why, never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.text() for problem in problems))
        self.problems = problems
