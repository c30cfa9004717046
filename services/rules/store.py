"""The rules in force across edits: after a bad edit the last good version of a rule stays.

Pure: the input is manifests, the output a ruleset and the state of each rule.
The detector watches the files and switches rulesets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from services.rules.checking import Report, check_manifests
from services.rules.ruleset import DEFAULT_THRESHOLD, Ruleset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from services.rules.compilation import CompiledRule, Compiler
    from services.rules.manifests import Manifest

State = Literal["Ready", "Disabled", "Stale", "Invalid"]


class RuleState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one rule.

    Ready: valid. Disabled: valid, and its mode is Disabled. Stale: the edit is bad, and
    the last good version is in force. Invalid: bad, and there never was a good version.
    `generation` is the one in force, 0 if there is none.
    """

    name: str
    state: State
    generation: int
    mode: str
    message: str = ""
    place: str = ""
    warnings: tuple[str, ...] = ()


class Update(msgspec.Struct, frozen=True):
    """Result of reading the rules again."""

    ruleset: Ruleset
    states: tuple[RuleState, ...]


class RuleStore:
    """Holds the last good version of every rule."""

    def __init__(
        self,
        compiler: Compiler,
        threshold: int = DEFAULT_THRESHOLD,
        on_error: Callable[[str, str], None] = lambda _rule, _error: None,
    ) -> None:
        self._compiler = compiler
        self._threshold = threshold
        self._on_error = on_error
        self._good: dict[str, tuple[CompiledRule, str]] = {}

    def update(self, manifests: Iterable[Manifest]) -> Update:
        """Replace the rules by those of manifests; rules that are in none of them are removed.

        A rule in a file that cannot be read to its end counts as present.
        """
        known = {name: compiled for name, (compiled, _) in self._good.items()}
        reports = check_manifests(manifests, self._compiler, known)
        states: dict[str, RuleState] = {}
        good: dict[str, tuple[CompiledRule, str]] = {}
        for report in reports:
            if report.compiled is not None:
                good[report.name] = (report.compiled, report.place.path)
                states[report.name] = _sound(report, report.compiled)
        for report in reports:
            if report.compiled is None:
                self._keep(report, good, states)
        self._good = good
        ruleset = Ruleset(
            (compiled for compiled, _ in good.values()),
            self._compiler.environment,
            self._threshold,
            self._on_error,
        )
        return Update(ruleset, tuple(states.values()))

    def _keep(
        self,
        report: Report,
        good: dict[str, tuple[CompiledRule, str]],
        states: dict[str, RuleState],
    ) -> None:
        """Keep the last good version of the rule in a bad manifest, or of all rules of its file."""
        path = report.place.path
        if report.name:
            names = [report.name]
        else:
            names = [name for name, (_, origin) in self._good.items() if origin == path]
        names = [name for name in names if name not in good]
        for name in names:
            if name in self._good:
                good[name] = self._good[name]
            states[name] = _unsound(report, name, good.get(name))
        if not names:  # a duplicate, or a file that never had a rule
            label = f"{report.name or path}:{report.place.line}"
            states[label] = _unsound(report, label, None)


def _sound(report: Report, compiled: CompiledRule) -> RuleState:
    rule = compiled.rule
    return RuleState(
        name=rule.name,
        state="Disabled" if rule.spec.mode == "Disabled" else "Ready",
        generation=rule.metadata.generation,
        mode=rule.spec.mode,
        place=str(report.place),
        warnings=compiled.warnings,
    )


def _unsound(report: Report, name: str, last: tuple[CompiledRule, str] | None) -> RuleState:
    rule = last[0].rule if last else None
    lines = [f"{report.place.path}:{report.line(p)}: {p.text()}" for p in report.problems]
    return RuleState(
        name=name,
        state="Stale" if rule else "Invalid",
        generation=rule.metadata.generation if rule else 0,
        mode=rule.spec.mode if rule else "",
        message="\n".join(lines),
        place=str(report.place),
    )
