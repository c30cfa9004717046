"""Rules from disk, kept up to date beside the stream.

A thread looks at the rules' files a few times a second and compiles what
changed; the stream takes the new ruleset between two transactions. Looking is
a `stat` a file: it works the same for an editor's save, a mounted ConfigMap's
swap of links, and a network file system that tells nobody of changes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from services.detector.matches import so_far
from services.rules import RuleStore, Update, read_manifests, rule_files, rule_hash
from services.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.rules import Ruleset, RuleState

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 0.1

Signature = tuple[tuple[str, int, int, int], ...]


class RulesetSource:
    """The newest ruleset that the files gave, and how each rule stands.

    Args:
        path: of the rules, a file or a folder.
        store: compiles them.
        more: what else the page tells.

    """

    def __init__(
        self, path: Path, store: RuleStore, more: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self._more = more
        self._path = path
        self._store = store
        self._signature = self._look()
        self._update = self._read()
        self._taken = self._update.ruleset
        self._warming: tuple[str, ...] = ()
        self._taken_at = time.time()
        self._published = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)
        self._publish()

    @property
    def current(self) -> Ruleset:
        """The newest ruleset."""
        return self._update.ruleset

    @property
    def states(self) -> tuple[RuleState, ...]:
        """How each rule stands."""
        return self._update.states

    @property
    def empty(self) -> bool:
        """Whether there are no rules on purpose: a list without any, as the operator writes it."""
        return not self.states and self._path.suffix == ".json"

    def put_in_force(self, ruleset: Ruleset, warming: tuple[str, ...]) -> None:
        """Take note of what the stream uses, and of the rules that wait for their windows."""
        if ruleset is self._taken and warming == self._warming:
            return
        self._taken = ruleset
        self._warming = warming
        self._taken_at = time.time()
        self._publish()
        log.info("ruleset in force", ruleset=ruleset.hash, rules=len(ruleset.live), warming=warming)

    def start(self) -> None:
        """Begin to watch the files."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def page(self) -> bytes:
        """The `/ruleset` page: what is in force, and each rule's state and matches.

        `inForce` has the hash of each rule that the stream uses now; `rules` tells of
        the newest that was read.
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
        """Say in which state a rule is in the stream."""
        return "Warming" if state.name in self._warming else state.state

    def _look(self) -> Signature:
        """Size up the files; equal signatures are equal files."""
        try:
            files = rule_files([self._path])
            stats = [(str(file), file.stat()) for file in files]
        except OSError:
            return ()
        return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns) for name, s in stats)

    def _read(self) -> Update:
        return self._store.update(m for f in rule_files([self._path]) for m in read_manifests(f))

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            signature = self._look()
            if signature and signature != self._signature:
                try:
                    update = self._read()
                except OSError as error:  # a file went between the look and the read; look again
                    log.warning("rules not read", reason=str(error))
                    continue
                self._signature = signature
                self._accept(update)

    def _accept(self, update: Update) -> None:
        before = {state.name: state for state in self.states}
        for state in update.states:
            if state.state in {"Stale", "Invalid"} and before.get(state.name) != state:
                log.error("rule refused", rule=state.name, state=state.state, reason=state.message)
        refused = any(state.state in {"Stale", "Invalid"} for state in update.states)
        metrics.RULESET_RELOADS.labels("refused" if refused else "applied").inc()
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
            # From 0 on, so that the first match is an increase.
            metrics.RULE_MATCHES.labels(compiled.rule.name, compiled.rule.spec.mode)


def _matches() -> Counter[str]:
    """How often each rule matched since the start, in all modes."""
    found: Counter[str] = Counter()
    for (rule, _), n in so_far().items():
        found[rule] += n
    return found
