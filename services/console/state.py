"""The data of the page at one moment, as JSON.

Pure: the input is samples, totals and records. Times are seconds of the epoch.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from services.console.figures import WINDOW_SECONDS, Rates
from services.console.frauds import DESCRIPTION, Fraud, Text, cut
from services.console.samples import DEAD_LETTERS, ERRORS, MATCHES, VERDICTS, by_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from services.console.detectors import Known, Unknown
    from services.console.latest import Trouble
    from services.console.samples import Counts, RuleLine

# The most severe state first: it is shown if detectors differ.
_STATES = ("Invalid", "Stale", "Warming", "Ready", "Disabled")


class Missing(msgspec.Struct, frozen=True):
    """Something that is missing, since when, and why."""

    what: str
    since: float
    said: str


class Rule(msgspec.Struct, frozen=True):
    """A rule over all detectors; `versions` is the number of its versions in force."""

    name: Text
    mode: str
    state: str
    message: Text
    matches: int
    errors: int
    in_force: int
    versions: int


class Detector(msgspec.Struct, frozen=True):
    """A detector; `lag` and `ruleset` are those of its last answer."""

    address: str
    answers: bool
    since: float | None
    said: str
    lag: int | None
    ruleset: str


class Counted(msgspec.Struct, frozen=True):
    """The count for one reason."""

    reason: Text
    count: int


class Totals(msgspec.Struct, frozen=True):
    """Total counts since the start of the detectors that the console has seen."""

    legit: int
    fraud: int
    dead_letters: int


class State(msgspec.Struct, frozen=True):
    """All data of the page at one moment."""

    at: float
    window: float
    rates: Rates
    totals: Totals
    lag: int | None
    answering: int
    missing: tuple[Missing, ...]
    detectors: tuple[Detector, ...]
    rules: tuple[Rule, ...]
    dead_letters: tuple[Counted, ...]
    frauds: tuple[Fraud, ...]


def state_of(
    *,
    at: float,
    rates: Rates,
    totals: Counts,
    known: Iterable[Known],
    unknown: Iterable[Unknown],
    frauds: Iterable[Fraud],
    trouble: Trouble | None,
) -> State:
    """Build the state of one moment.

    Args:
        at: Time of the moment, in seconds of the epoch.
        rates: Rates of all detectors.
        totals: Counts of all detectors.
        known: Detectors that were found.
        unknown: Names that do not resolve.
        frauds: Latest frauds, from old to new.
        trouble: The reason why no frauds can be read.

    """
    detectors = sorted(known, key=lambda one: one.address)
    answers = [one.sample for one in detectors if one.answers and one.sample]
    verdicts = by_label(totals, VERDICTS)
    reasons = by_label(totals, DEAD_LETTERS)
    return State(
        at=at,
        window=WINDOW_SECONDS,
        rates=rates,
        totals=Totals(
            int(verdicts.get("legit", 0)),
            int(verdicts.get("fraud", 0)),
            int(sum(reasons.values())),
        ),
        lag=sum(sample.lag for sample in answers) if answers else None,
        answering=len(answers),
        missing=_missing(detectors, unknown, trouble),
        detectors=tuple(_detector(one) for one in detectors),
        rules=_rules(detectors, totals),
        dead_letters=tuple(
            Counted(cut(reason), int(n))
            for reason, n in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
            if n
        ),
        frauds=tuple(frauds)[::-1],
    )


def _missing(
    detectors: Iterable[Known], unknown: Iterable[Unknown], trouble: Trouble | None
) -> tuple[Missing, ...]:
    found = [Missing(f"Detectors at {one.host}", one.since, one.said) for one in unknown]
    found += [
        Missing(f"Detector {one.address}", one.silent_since, one.said)
        for one in detectors
        if one.silent_since is not None
    ]
    if trouble:
        found.append(Missing("Kafka's topic of frauds", trouble.since, trouble.said))
    return tuple(found)


def _detector(one: Known) -> Detector:
    sample = one.sample
    return Detector(
        address=one.address,
        answers=one.answers,
        since=one.silent_since,
        said=one.said,
        lag=sample.lag if sample else None,
        ruleset=sample.page.hash if sample else "",
    )


def _rules(detectors: list[Known], totals: Mapping[tuple[str, str], float]) -> tuple[Rule, ...]:
    """Return each rule that a detector has; while none answers, by the last answers."""
    answering = [one.sample for one in detectors if one.answers and one.sample]
    samples = answering or [one.sample for one in detectors if one.sample]
    matches, errors = by_label(totals, MATCHES), by_label(totals, ERRORS)
    lines: defaultdict[str, list[RuleLine]] = defaultdict(list)
    hashes: defaultdict[str, list[str]] = defaultdict(list)
    for sample in samples:
        for line in sample.page.rules:
            lines[line.name].append(line)
    for sample in answering:
        for name, version in sample.page.in_force.items():
            hashes[name].append(version)
    found = []
    for name, told in sorted(lines.items()):
        gravest = min(told, key=lambda line: _gravity(line.state))
        found.append(
            Rule(
                name=cut(name),
                mode=" and ".join(dict.fromkeys(line.mode for line in told)),
                state=gravest.state,
                message=cut(gravest.message, DESCRIPTION),
                matches=int(matches.get(name, 0)),
                errors=int(errors.get(name, 0)),
                in_force=len(hashes[name]),
                versions=len(set(hashes[name])),
            )
        )
    return tuple(found)


def _gravity(state: str) -> int:
    return _STATES.index(state) if state in _STATES else 0
