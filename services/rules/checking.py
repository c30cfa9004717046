"""`fraud rules check` without the command line: find the problems of the rules in some files."""

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
    """Result of the check of one rule. The rule may go live if `compiled` is set."""

    place: Place
    name: str
    compiled: CompiledRule | None
    problems: tuple[Problem, ...]
    lines: dict[str, int]
    expression_line: int

    def line(self, problem: Problem) -> int:
        """Return the line of the file, from 1, that a problem is about."""
        if problem.line and self.expression_line and problem.field == "spec.expression":
            return self.expression_line + problem.line - 1
        path = f"$.{problem.field}"
        while path not in self.lines and "." in path:
            path = path[: path.rindex(".")]
        return self.lines.get(path, self.place.line)


def check(paths: Iterable[Path], compiler: Compiler) -> list[Report]:
    """Check every rule in the paths, in the order of files and documents.

    Args:
        paths: Files or folders.
        compiler: Compiler for the schema of the transactions.

    Returns:
        One report for each rule, and one for each file or document without a rule.

    Raises:
        FileNotFoundError: A path does not exist.

    """
    named = list(paths)
    files = rule_files(named)
    manifests = [m for file in files for m in read_manifests(file, named=file in named)]
    return check_manifests(manifests, compiler, {})


def check_manifests(
    manifests: Iterable[Manifest], compiler: Compiler, known: dict[str, CompiledRule]
) -> list[Report]:
    """Check manifests that have been read.

    Args:
        manifests: Result of `read_manifests`.
        compiler: Compiler for the schema of the transactions.
        known: Compiled rules by name; a rule that has not changed is not
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
                    hint="give one of the two another name",
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
    """True if two rules have the same content; compares JSON, because in Python 1 equals True."""
    return msgspec.json.encode(one) == msgspec.json.encode(other)
