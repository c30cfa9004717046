"""Decisions about records, kept until the commit: routes, verdicts, rejections."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.detector.answers import explanation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.rules import Decision, Ruleset
    from services.streams.processing import Route
    from services.transactions import Rejection

# Currency and amount (in whole units) of a transaction; None if it lacks one of them.
Payment = tuple[str | None, float | None]


class Topics(NamedTuple):
    """The output topics."""

    legit: str
    fraud: str
    dead_letters: str


class Routes(dict[int, "Route"]):
    """Cache from match mask to output topic and headers, filled on first use."""

    def __init__(self, ruleset: Ruleset, topics: Topics) -> None:
        super().__init__()
        self.frauds: dict[int, bool] = {}
        """True for each mask in the cache whose verdict is fraud."""
        self._ruleset = ruleset
        self._topics = {"legit": topics.legit, "fraud": topics.fraud}
        self.nothing_matched = explanation(ruleset.decide(0), ruleset.hash)

    def __missing__(self, mask: int) -> Route:
        """Compute the route of a mask. Without a match the record gains nothing."""
        decision = self._ruleset.decide(mask)
        self.frauds[mask] = decision.verdict == "fraud"
        route = self[mask] = self._route(decision)
        return route

    def telling(self, mask: int, values: list[float | int | None]) -> Route:
        """Compute the route of a mask whose explanation has the values of aggregates."""
        return self._route(self._ruleset.explain(mask, values))

    def _route(self, decision: Decision) -> Route:
        headers = explanation(decision, self._ruleset.hash) if decision.matches else None
        return self._topics[decision.verdict], headers


class Outcome(NamedTuple):
    """The decision about one record. Only `rejection` is set for a rejected record."""

    route: Route
    ruleset: Ruleset
    mask: int
    stopped: Payment | None
    rejection: Rejection | None


class Judged(NamedTuple):
    """The decisions about a batch that is not committed yet.

    It does not refer to the records or the transactions: if 10,000 of them were kept until
    the commit, each batch would use memory that is in no CPU cache.
    """

    runs: list[tuple[int, Sequence[int]]]
    """The partitions, and the offsets of their records."""
    ruleset: Ruleset
    routes: list[Route]
    masks: dict[int, int]
    """The mask of each row with a match."""
    stopped: dict[int, Payment]
    """The payment of each row that is a fraud."""
    rejected: dict[int, Rejection]
    out_of_order: int

    def outcomes(self) -> Iterator[tuple[tuple[int, int], Outcome]]:
        """Yield partition and offset of each record with the decision about it."""
        places = [(partition, offset) for partition, offsets in self.runs for offset in offsets]
        for row, (at, route) in enumerate(zip(places, self.routes, strict=True)):
            mask, stopped = self.masks.get(row, 0), self.stopped.get(row)
            yield at, Outcome(route, self.ruleset, mask, stopped, self.rejected.get(row))
