"""`fraud rules check`: the problems of rules, their places, and hints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from services.rules import Compiler, Report, check
from services.rules.keys import complaint_of_key
from services.settings import SettingError
from services.transactions import load_schema

if TYPE_CHECKING:
    from pathlib import Path


def check_rules(paths: list[Path], schema: Path | None, keyed_by: str, output: str) -> int:
    """Check rules and print the problems; 0 if all rules may go live, else 1.

    Args:
        paths: Files or folders.
        schema: File with the schema of transactions; None for the built-in one.
        keyed_by: Field that the input topic is keyed by, or none.
        output: text or json.

    Raises:
        SettingError: The schema has no such field.

    """
    known = load_schema(schema)
    if complaint := complaint_of_key(known, keyed_by):
        raise SettingError(f"--keyed-by: {complaint}")
    reports = check(paths, Compiler(known, keyed_by))
    if output == "json":
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(_machine(reports))).decode() + "\n"
        )
    else:
        for report in reports:
            sys.stdout.write(_text(report))
        if not reports:
            sys.stdout.write("no rules found\n")
    return 0 if reports and all(report.compiled for report in reports) else 1


def _text(report: Report) -> str:
    if report.compiled is None:
        return "".join(_problems(report))
    examples = len(report.compiled.rule.spec.examples)
    proof = f"{examples} example{'' if examples == 1 else 's'}" if examples else "no examples"
    lines = [f"{report.place}: {report.name}: ok ({proof})"]
    lines += [f"  warning: {warning}" for warning in report.compiled.warnings]
    return "\n".join(lines) + "\n"


def _problems(report: Report) -> list[str]:
    name = f"{report.name}: " if report.name else ""
    return [f"{report.place.path}:{report.line(p)}: {name}{p.text()}\n" for p in report.problems]


def _machine(reports: list[Report]) -> list[dict[str, Any]]:
    return [
        {
            "path": report.place.path,
            "line": report.place.line,
            "rule": report.name,
            "ok": report.compiled is not None,
            "examples": len(report.compiled.rule.spec.examples) if report.compiled else 0,
            "warnings": list(report.compiled.warnings) if report.compiled else [],
            "problems": [
                {
                    "line": report.line(problem),
                    "field": problem.field,
                    "message": problem.message,
                    "hint": problem.hint,
                    "expressionLine": problem.line,
                    "expressionColumn": problem.column,
                }
                for problem in report.problems
            ],
        }
        for report in reports
    ]
