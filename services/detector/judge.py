"""From a batch of records to where each goes: the hot path.

Everything per record is C called through `map`, numpy, or one of two loops:
settling event times, and the ruleset's generated function. What a mask of
matches means (topic, headers) is looked up in a table that fills itself; only
matches that tell of aggregates are written anew each time.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from services.detector.partitions import write_note
from services.detector.reading import NEVER, milliseconds, name
from services.streams.dead_letters import dead_letter_headers
from services.streams.processing import place_of
from services.telemetry import metrics
from services.transactions import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from confluent_kafka import Consumer, Message

    from services.detector.keying import Keying
    from services.detector.partitions import Partitions
    from services.detector.reading import Read, Reader, Times
    from services.detector.ruleset_source import RulesetSource
    from services.rules import Decision, Ruleset
    from services.streams.processing import Batch, Headers, Route
    from services.transactions import Refusal

MEASURE_EVERY_SECONDS = 1.0
DECISION_HEADER = "fraud.decision"

# The currency and the amount, in whole units; None where a transaction leaves it out.
Payment = tuple[str | None, float | None]


class Topics(NamedTuple):
    """Where records go."""

    legit: str
    fraud: str
    dead_letters: str


class Routes(dict[int, "Route"]):
    """What each mask of matches comes to; worked out when first met."""

    def __init__(self, ruleset: Ruleset, topics: Topics) -> None:
        super().__init__()
        self.frauds: dict[int, bool] = {}
        """Which of the masks met so far are fraud."""
        self._ruleset = ruleset
        self._topics = {"legit": topics.legit, "fraud": topics.fraud}

    def __missing__(self, mask: int) -> Route:
        """Decide a mask. Without a match nothing is added to the record."""
        decision = self._ruleset.decide(mask)
        self.frauds[mask] = decision.verdict == "fraud"
        route = self[mask] = self._route(decision)
        return route

    def of(self, masks: list[int]) -> list[Route]:
        """Give the route of each; most match nothing."""
        routes = [self[0]] * len(masks)
        for i in compress(range(len(masks)), masks):
            routes[i] = self[masks[i]]
        return routes

    def telling(self, mask: int, values: list[Any]) -> Route:
        """Decide a mask whose rules tell of aggregates, with their values."""
        return self._route(self._ruleset.explain(mask, values))

    def _route(self, decision: Decision) -> Route:
        headers = explanation(decision, self._ruleset.hash) if decision.matches else None
        return self._topics[decision.verdict], headers


def explanation(decision: Decision, ruleset_hash: str) -> Headers:
    """The header that tells why: verdict, score, every match, and the ruleset, as JSON.

    One header and not one a part: each costs 0.6 µs to write.
    """
    told = {**msgspec.structs.asdict(decision), "ruleset": ruleset_hash}
    return [(DECISION_HEADER, msgspec.json.encode(told))]


class Outcome(NamedTuple):
    """What was decided of one record; the rest but its refusal is that of a transaction."""

    route: Route
    ruleset: Ruleset
    mask: int
    time_ms: int
    stopped: Payment | None
    refusal: Refusal | None


class Judged(NamedTuple):
    """What was decided of a batch that is not committed yet.

    It does without the records and the transactions: with 10,000 of them held
    until the commit, each batch would find the memory of none in the caches.
    """

    runs: list[tuple[int, Sequence[int]]]
    """The partitions, and the offsets of their records."""
    ruleset: Ruleset
    routes: list[Route]
    masks: list[int]
    times_ms: Times
    stopped: list[Payment]
    """By the frauds, in order."""
    refused: dict[int, Refusal]
    out_of_order: int

    def outcomes(self) -> Iterator[tuple[tuple[int, int], Outcome]]:
        """Give partition and offset of each record, and what was decided of it."""
        frauds = {m for m in set(self.masks) if self.ruleset.decide(m).verdict == "fraud"}
        decided = zip(self.masks, self.times_ms.tolist(), strict=True)
        stopped = iter(self.stopped)
        places = [(partition, offset) for partition, offsets in self.runs for offset in offsets]
        for i, (at, route) in enumerate(zip(places, self.routes, strict=True)):
            if refusal := self.refused.get(i):
                yield at, Outcome(route, self.ruleset, 0, NEVER, None, refusal)
            else:
                mask, time_ms = next(decided)
                payment = next(stopped, None) if mask in frauds else None
                yield at, Outcome(route, self.ruleset, mask, time_ms, payment, None)


class Judge:
    """Judges records, and counts them once they are committed.

    A record is judged once, also when its Kafka transaction is given up: what
    was decided is kept until the record comes again, as the windows have it in
    them already.
    """

    def __init__(
        self,
        reader: Reader,
        rules: RulesetSource,
        partitions: Partitions,
        topics: Topics,
        keying: Keying,
    ) -> None:
        self._reader = reader
        self._rules = rules
        self._partitions = partitions
        self._topics = topics
        self._keying = keying
        money = reader.schema.money
        self._payment = attrgetter(*money) if money else None
        self._ruleset = partitions.ruleset
        self._routes = Routes(self._ruleset, topics)
        self._judged: list[Judged] = []
        # By partition and offset: what was decided of records that are to come again, and of those
        # of them that have since the last commit.
        self._again: dict[tuple[int, int], Outcome] = {}
        self._repeated: dict[tuple[int, int], Outcome] = {}
        self._appended: list[Times] = []
        # The stream time at the offset that is committed, and at that which would be now.
        self._committed_times: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._measured_at = 0.0
        for reason in Reason:  # from 0 on, so that the first of its kind is an increase
            metrics.DEAD_LETTERS.labels(reason)

    def assigned(self, partitions: list[int]) -> None:
        """Take partitions on."""
        self._partitions.assigned(partitions)

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        gone = set(partitions)
        self._partitions.revoked(partitions)
        self._again = {at: one for at, one in self._again.items() if at[0] not in gone}
        for partition in gone:
            self._committed_times.pop(partition, None)
            self._times.pop(partition, None)

    def note(self, partition: int) -> str:
        """What is kept with a committed offset: the stream time there."""
        stream_times = self._partitions.stream_times
        return write_note(self._times.get(partition, stream_times.get(partition, NEVER)))

    def process(self, batch: Batch) -> list[Route]:
        """Say where each record goes."""
        return self._judge(batch) if not self._again else self._judge_again(batch)

    def _judge(self, batch: Batch) -> list[Route]:
        stream_times = self._partitions.stream_times
        for partition, _, _ in batch.runs:
            self._committed_times.setdefault(partition, stream_times[partition])
        read = self._reader.read(batch, stream_times)
        self._appended.append(read.appended_ms)
        self._keying.sample(batch, read)
        masks, routes = self._decide(batch, read)
        runs = [(p, _offsets(batch.messages[begin:end])) for p, begin, end in batch.runs]
        for partition, offsets in runs:
            self._partitions.ready[partition].next = offsets[-1] + 1
            self._times[partition] = stream_times[partition]
        if read.refused:
            decided = iter(routes)
            dead_letters = self._topics.dead_letters
            routes = [
                (dead_letters, dead_letter_headers(read.refused[i], message))
                if i in read.refused
                else next(decided)
                for i, message in enumerate(batch.messages)
            ]
        self._judged.append(
            Judged(
                runs,
                self._ruleset,
                routes,
                masks,
                read.times_ms,
                self._stopped(read.transactions, masks),
                read.refused,
                read.out_of_order,
            )
        )
        return routes

    def _stopped(self, transactions: list[Any], masks: list[int]) -> list[Payment]:
        """Give what each of the frauds would have paid."""
        if self._payment is None:
            return []
        # Most match nothing, and are none.
        frauds = map(self._routes.frauds.__getitem__, compress(masks, masks))
        return list(map(self._payment, compress(compress(transactions, masks), frauds)))

    def _decide(self, batch: Batch, read: Read) -> tuple[list[int], list[Route]]:
        ruleset, transactions = self._ruleset, read.transactions
        if "id" in ruleset.reads:
            name(transactions, read.messages(batch))
        if not ruleset.windows.values:
            masks = ruleset.matches(transactions)
            return masks, self._routes.of(masks)
        masks, routes = [], []
        for partition, begin, end in read.runs:
            whole = end - begin == len(transactions)
            own = transactions if whole else transactions[begin:end]
            windows = self._partitions.ready[partition].windows
            columns = windows.process(own, read.times_ms[begin:end], ruleset.counted(own))
            found = ruleset.matches(own, columns)
            went = self._routes.of(found)
            for i in compress(range(len(found)), found):
                if found[i] & ruleset.vivid:
                    went[i] = self._routes.telling(found[i], [column[i] for column in columns])
            masks += found
            routes += went
        return masks, routes

    def _judge_again(self, batch: Batch) -> list[Route]:
        """Give the outcomes that are known already, and judge the rest."""
        known: list[Outcome | None] = []
        appended = []
        for message, at_ms in zip(batch.messages, batch.timestamps_ms, strict=True):
            at = place_of(message)
            outcome = self._again.get(at)
            known.append(outcome)
            if outcome is not None:
                appended.append(at_ms)
                self._repeated[at] = outcome
                self._times[at[0]] = max(self._times[at[0]], outcome.time_ms)
        self._appended.append(milliseconds(appended))
        for partition, _, end in batch.runs:
            _, last = place_of(batch.messages[end - 1])
            # Those before it that did not come are committed after all.
            passed = [at for at in self._again if at[0] == partition and at[1] <= last]
            for at in passed:
                del self._again[at]
        fresh = [m for m, one in zip(batch.messages, known, strict=True) if one is None]
        routes = iter(self._judge(type(batch).of(fresh)) if fresh else [])
        return [next(routes) if one is None else one.route for one in known]

    def committed(self) -> None:
        """Count what is now true."""
        now_ms = time.time_ns() // 1_000_000
        for appended in self._appended:
            metrics.observe_latencies(now_ms - appended)
        masks: dict[Ruleset, Counter[int]] = {}
        reasons: Counter[str] = Counter()
        stopped: list[Payment] = []
        for judged in self._judged:
            counts = masks.setdefault(judged.ruleset, Counter())
            matched = list(compress(judged.masks, judged.masks))
            counts.update(matched)
            counts[0] += len(judged.masks) - len(matched)
            reasons.update(refusal.reason for refusal in judged.refused.values())
            metrics.OUT_OF_ORDER.inc(judged.out_of_order)
            stopped += judged.stopped
        for outcome in self._repeated.values():
            if outcome.refusal is not None:
                reasons[outcome.refusal.reason] += 1
            else:
                masks.setdefault(outcome.ruleset, Counter())[outcome.mask] += 1
            if outcome.stopped is not None:
                stopped.append(outcome.stopped)
        for ruleset, counts in masks.items():
            _count_matches(ruleset, counts)
        for reason, n in reasons.items():
            metrics.DEAD_LETTERS.labels(reason).inc(n)
        metrics.count_stopped(stopped)
        self._committed_times.update(self._times)
        self._clear()

    def aborted(self) -> None:
        """Keep what was judged since the last commit for when it comes again."""
        ready = self._partitions.ready
        again = self._repeated
        for judged in self._judged:
            again |= dict(judged.outcomes())
        self._again |= {at: outcome for at, outcome in again.items() if at[0] in ready}
        self._times.update(self._committed_times)
        self._clear()

    def _clear(self) -> None:
        self._judged = []
        self._repeated = {}
        self._appended = []

    def between_transactions(self, consumer: Consumer) -> bool:
        """Take up partitions and rulesets, and measure once in a while."""
        busy = self._partitions.turn(consumer, self._rules.current)
        if self._partitions.ruleset is not self._ruleset:
            self._ruleset = self._partitions.ruleset
            self._routes = Routes(self._ruleset, self._topics)
        self._rules.put_in_force(self._ruleset, self._partitions.warming)
        if time.monotonic() - self._measured_at >= MEASURE_EVERY_SECONDS:
            self._measured_at = time.monotonic()
            self._partitions.measure(consumer)
        return busy


def _offsets(messages: list[Message]) -> Sequence[int]:
    """Give the offsets of one partition's records, which are in order."""
    (_, first), (_, last) = place_of(messages[0]), place_of(messages[-1])
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return [place_of(message)[1] for message in messages]


def _count_matches(ruleset: Ruleset, masks: Counter[int]) -> None:
    for mask, n in masks.items():
        decision = ruleset.decide(mask)
        metrics.TRANSACTIONS.labels(decision.verdict).inc(n)
        for match in decision.matches:
            metrics.RULE_MATCHES.labels(match.rule, match.mode).inc(n)
