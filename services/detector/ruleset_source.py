"""Rules from disk, kept up to date beside the stream.

A thread checks the rules' files a few times a second and compiles what
changed; the stream switches to the new ruleset between two transactions. The check
is a `stat` of each file. That works the same for an editor's save, a mounted
ConfigMap's swap of links, and a network file system without notifications.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from services.detector.matches import so_far
from services.rules import RuleStore, Update, read_manifests, rule_files, rule_hash
from services.telemetry import metrics
from services.threads import StoppableThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.rules import Ruleset, RuleState

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 0.1

Signature = tuple[tuple[str, int, int, int], ...]


class RulesetSource(StoppableThread):
    """The newest ruleset from the files, and the state of each rule.

    Args:
        path: File or folder with the rules.
        store: Compiles the rules.
        more: Returns further content of the status page.

    """

    def __init__(
        self, path: Path, store: RuleStore, more: Callable[[], dict[str, Any]] = dict
    ) -> None:
        super().__init__("rules")
        self._more = more
        self._path = path
        self._store = store
        self._signature = self._look()
        self._looked = self._signature
        self._update = self._read()
        self._taken = self._update.ruleset
        self._warming: tuple[str, ...] = ()
        self._taken_at = time.time()
        self._published = ""
        self._publish()

    @property
    def current(self) -> Ruleset:
        """The newest ruleset."""
        return self._update.ruleset

    @property
    def states(self) -> tuple[RuleState, ...]:
        """The state of each rule."""
        return self._update.states

    @property
    def empty(self) -> bool:
        """True if the list of rules is empty on purpose, as the operator may write it."""
        return not self.states and self._path.suffix == ".json"

    def put_in_force(self, ruleset: Ruleset, warming: tuple[str, ...]) -> None:
        """Store which ruleset the stream uses, and which rules wait for their windows."""
        if ruleset is self._taken and warming == self._warming:
            return
        self._taken = ruleset
        self._warming = warming
        self._taken_at = time.time()
        self._publish()
        log.info("ruleset in force", ruleset=ruleset.hash, rules=len(ruleset.live), warming=warming)

    def page(self) -> bytes:
        """Return the `/ruleset` page: the ruleset in force, and each rule's state and matches.

        `inForce` has the hash of each rule that the stream uses now; `rules` describes
        the newest ruleset that was read.
        """
        matches = _matches()
        rules = [
            {
                **msgspec.to_builtins(state),
                "state": self._standing(state),
                "matches": matches[state.name],
            }
            for state in self.states
        ]
        return msgspec.json.encode(
            {
                **self._more(),
                "hash": self._taken.hash,
                "inForce": {c.rule.name: rule_hash(c.rule) for c in self._taken.rules},
                "pending": self.current.hash if self.current.hash != self._taken.hash else None,
                "warming": self._warming,
                "loadedAt": self._taken_at,
                "threshold": self._taken.threshold,
                "rules": rules,
            }
        )

    def _standing(self, state: RuleState) -> str:
        """Return the state of a rule in the stream."""
        return "Warming" if state.name in self._warming else state.state

    def _look(self) -> Signature:
        """Return the signature of the files; equal signatures mean unchanged files."""
        try:
            files = rule_files([self._path])
            stats = [(str(file), file.stat()) for file in files]
        except OSError:
            return ()
        return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns) for name, s in stats)

    def _read(self) -> Update:
        return self._store.update(
            manifest
            for file in rule_files([self._path])
            for manifest in read_manifests(file, named=file == self._path)
        )

    def check(self) -> None:
        """Look at the files once, and read them if they have changed since they were read.

        An editor may truncate a file before it writes it, and an empty file has no rules. So files
        are read when two looks find them the same, and not used if they changed during the read.
        """
        signature = self._look()
        settled, self._looked = signature == self._looked, signature
        if not signature or not settled or signature == self._signature:
            return
        try:
            update = self._read()
        except OSError as error:  # a file was deleted during the read; try again
            log.warning("rules not read", reason=str(error))
            return
        if self._look() == signature:
            self._signature = signature
            self._accept(update)

    def run(self) -> None:
        """Look at the files at intervals."""
        while not self.stopping.wait(LOOK_EVERY_SECONDS):
            self.check()

    def _accept(self, update: Update) -> None:
        before = {state.name: state for state in self.states}
        for state in update.states:
            if state.state in {"Stale", "Invalid"} and before.get(state.name) != state:
                log.error("rule rejected", rule=state.name, state=state.state, reason=state.message)
        rejected = any(state.state in {"Stale", "Invalid"} for state in update.states)
        metrics.RULESET_RELOADS.labels("refused" if rejected else "applied").inc()
        self._update = (
            update
            if update.ruleset.hash != self.current.hash
            else Update(self.current, update.states)
        )
        self._publish()

    def _publish(self) -> None:
        metrics.RULESET_INFO.labels(self._taken.hash).set(1)
        if self._published not in {"", self._taken.hash}:
            metrics.RULESET_INFO.remove(self._published)
        self._published = self._taken.hash
        metrics.RULESET_LOADED.set(self._taken_at)
        states = {state.name: self._standing(state) for state in self.states}
        metrics.set_all(metrics.RULE_STATE, dict.fromkeys(states.items(), 1))
        counts = Counter(states.values())
        for name in metrics.LABEL_VALUES[metrics.RULES]:
            metrics.RULES.labels(name).set(counts[name])
        for compiled in self._taken.live:
            # Begin at 0, so that the first match is an increase.
            metrics.RULE_MATCHES.labels(compiled.rule.name, compiled.rule.spec.mode)


def _matches() -> Counter[str]:
    """Number of matches of each rule since the start, in all modes."""
    found: Counter[str] = Counter()
    for (rule, _), n in so_far().items():
        found[rule] += n
    return found
