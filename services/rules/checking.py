"""`fraud rules check`, without the command line: what is wrong with the rules of some files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.rules.manifests import Manifest, read_manifests, rule_files
from services.rules.problems import Place, Problem, RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from services.rules.compilation import CompiledRule, Compiler
    from services.rules.model import FraudRule


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What checking one rule found. It may go live when `compiled` is there."""

    place: Place
    name: str
    compiled: CompiledRule | None
    problems: tuple[Problem, ...]
    lines: dict[str, int]
    expression_line: int

    def line(self, problem: Problem) -> int:
        """Give the line of the file, from 1, that a problem is about."""
        if problem.line and self.expression_line and problem.field == "spec.expression":
            return self.expression_line + problem.line - 1
        path = f"$.{problem.field}"
        while path not in self.lines and "." in path:
            path = path[: path.rindex(".")]
        return self.lines.get(path, self.place.line)


def check(paths: Iterable[Path], compiler: Compiler) -> list[Report]:
    """Check every rule that the paths hold, in the order of files and documents.

    Args:
        paths: files or folders.
        compiler: for the schema that the rules are about.

    Returns:
        A report a rule, and one for each file or document that holds none.

    Raises:
        FileNotFoundError: a path does not exist.

    """
    manifests = [m for file in rule_files(paths) for m in read_manifests(file)]
    return check_manifests(manifests, compiler, {})


def check_manifests(
    manifests: Iterable[Manifest], compiler: Compiler, known: dict[str, CompiledRule]
) -> list[Report]:
    """Check manifests that have been read.

    Args:
        manifests: from `read_manifests`.
        compiler: for the schema that the rules are about.
        known: rules compiled before, by name; one that is unchanged is not
            compiled again.

    """
    first: dict[str, Place] = {}
    return [_report(manifest, compiler, known, first) for manifest in manifests]


def _report(
    manifest: Manifest, compiler: Compiler, known: dict[str, CompiledRule], first: dict[str, Place]
) -> Report:
    compiled, problems = None, manifest.problems
    if manifest.rule is not None:
        before = known.get(manifest.name)
        if earlier := first.get(manifest.name):
            problems = (
                Problem(
                    field="metadata.name",
                    message=f"`{manifest.name}` is defined at {earlier} already",
                    mend="give one of the two another name",
                ),
            )
        elif before is not None and _same(before.rule, manifest.rule):
            compiled = before
        else:
            try:
                compiled = compiler.compile(manifest.rule)
            except RuleError as error:
                problems = error.problems
    first.setdefault(manifest.name, manifest.place)
    return Report(
        place=manifest.place,
        name=manifest.name,
        compiled=compiled,
        problems=problems,
        lines=manifest.lines,
        expression_line=manifest.expression_line,
    )


def _same(one: FraudRule, other: FraudRule) -> bool:
    """Whether two rules say the same; by their JSON, as to Python 1 equals true."""
    return msgspec.json.encode(one) == msgspec.json.encode(other)
