"""From a batch of records to the route of each record: the hot path.

The work per record is done on columns. Python code runs once a row only for rows that match a rule
or are rejected. The route of a match mask (topic, headers) comes from a cache that is filled on
first use; only an explanation with values of aggregates is written for its row.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from services.columns import joined
from services.detector import offset_metadata
from services.detector.answers import answer_forged
from services.detector.outcomes import Judged, Outcome, Payment, Routes, Topics
from services.detector.reading import milliseconds
from services.engine import Engine
from services.rules.numbering import Rows
from services.streams.dead_letters import dead_letter_headers
from services.streams.processing import place_of
from services.telemetry import metrics
from services.transactions import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import Message, TopicPartition

    from services.columns import Codes, Columns, Doubles, Whole
    from services.detector.keying import Keying
    from services.detector.partitions import Partitions
    from services.detector.reading import Read, Reader, Times
    from services.detector.ruleset_source import RulesetSource
    from services.detector.stream_time import Mark
    from services.rules import Ruleset
    from services.streams.group_consumer import GroupConsumer
    from services.streams.identity import TopicIdentity
    from services.streams.processing import Batch, Headers, Route
    from services.transactions import Rejection

MEASURE_EVERY_SECONDS = 1.0


class Judge:
    """Judges records, and counts them once they are committed.

    A record is judged once, even if its Kafka transaction is aborted: the decision is kept
    until the record is read again, because the windows contain the record already.
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
        self._money = reader.schema.money
        self._ruleset = partitions.ruleset
        self._engine = Engine(self._ruleset)
        self._routes = Routes(self._ruleset, topics)
        self._judged: list[Judged] = []
        # By partition and offset: decisions about records that will be read again, and about those
        # that have been read again since the last commit.
        self._again: dict[tuple[int, int], Outcome] = {}
        self._repeated: dict[tuple[int, int], Outcome] = {}
        # Records that become dead letters although they may be valid, because outputs reject
        # them. They count in the windows nevertheless: the log alone determines windows.
        self._undeliverable: dict[tuple[int, int], Rejection] = {}
        self._stepped_over = 0
        self._appended: list[Times] = []
        # Stream time at the committed offset; and at the offset that would be committed now (or at
        # an earlier one, from which the same stream time is found).
        self._committed_marks: dict[int, Mark] = {}
        self._marks: dict[int, Mark] = {}
        self._measured_at = 0.0
        for reason in Reason:  # begin at 0, so that the first one is an increase
            metrics.DEAD_LETTERS.labels(reason)

    def assigned(self, partitions: list[int]) -> None:
        """Start with partitions."""
        self._partitions.assigned(partitions)

    def revoked(self, partitions: list[int]) -> None:
        """Forget partitions."""
        gone = set(partitions)
        self._partitions.revoked(partitions)
        self._again = {at: one for at, one in self._again.items() if at[0] not in gone}
        for partition in gone:
            self._committed_marks.pop(partition, None)
            self._marks.pop(partition, None)

    def note(self, partition: int) -> str:
        """Return the metadata of an offset to commit: the stream time there."""
        mark = self._marks.get(partition)
        if mark is None and (stream_time := self._partitions.stream_times.get(partition)):
            mark = stream_time.mark
        if mark is None or (ready := self._partitions.ready.get(partition)) is None:
            return ""
        return offset_metadata.write(mark, self._partitions.topic, ready.gap)

    def same_topic(self, now: TopicIdentity) -> bool:
        """Compare the topic with its earlier state; see `Partitions.compare`."""
        return self._partitions.compare(now)

    def passed(self, consumer: GroupConsumer, unread: set[int]) -> list[TopicPartition]:
        """Find offsets to commit though no record came; see `Partitions.passed`."""
        return self._partitions.passed(consumer, unread, {at[0] for at in self._again})

    def look_up_again(self, consumer: GroupConsumer, partitions: list[int]) -> None:
        """Forget partitions whose log has changed, and find again where they resume."""
        self.revoked(partitions)
        self._partitions.look_up_again(consumer, partitions)

    def undeliverable(self, place: tuple[int, int], rejection: Rejection) -> None:
        """Make a dead letter of a record when it is read again."""
        self._undeliverable[place] = rejection

    def process(self, batch: Batch) -> list[Route]:
        """Return the route of each record."""
        routes = self._judge(batch) if not self._again else self._judge_again(batch)
        return self._divert(batch, routes) if self._undeliverable else routes

    def unreadable(self, partition: int, following: int) -> str:
        """Skip a batch that the client cannot read; one dead letter replaces it."""
        if ready := self._partitions.ready.get(partition):
            ready.next = following
        self._stepped_over += 1
        return self._topics.dead_letters

    def answer(self, routes: list[Route], headers: Sequence[Headers | None]) -> None:
        """Add this detector's decision to records that already have one, so that it comes last."""
        answer_forged(routes, headers, self._routes.nothing_matched)

    def _divert(self, batch: Batch, routes: list[Route]) -> list[Route]:
        """Send records that outputs reject to the dead letters."""
        for judged in self._judged:
            self._repeated |= dict(judged.outcomes())
        self._judged = []
        for i, message in enumerate(batch.messages):
            at = place_of(message)
            if rejection := self._undeliverable.get(at):
                before = self._repeated[at].rejection
                # A record that is not a valid transaction keeps that reason.
                if before and before.reason != rejection.reason:
                    rejection = before._replace(detail=_joined(before.detail, rejection.detail))
                routes[i] = self._topics.dead_letters, dead_letter_headers(rejection, message)
                self._repeated[at] = self._repeated[at]._replace(
                    route=routes[i], stopped=None, rejection=rejection
                )
        return routes

    def _judge(self, batch: Batch) -> list[Route]:
        stream_times = self._partitions.stream_times
        for partition, begin, _ in batch.runs:
            stream_time = stream_times[partition]
            self._committed_marks.setdefault(partition, stream_time.mark)
            self._partitions.ready[partition].take(batch.timestamps_ms[begin], stream_time.time_ms)
        read = self._reader.read(batch, stream_times)
        self._appended.append(read.appended_ms)
        self._keying.sample(batch, read)
        masks, routes = self._decide(batch, read)
        runs = [(p, _offsets(batch.messages[begin:end])) for p, begin, end in batch.runs]
        for partition, offsets in runs:
            ready = self._partitions.ready[partition]
            ready.next = offsets[-1] + 1
            self._marks[partition] = stream_times[partition].mark
        for row, rejection in read.rejected.items():
            headers = dead_letter_headers(rejection, batch.messages[row])
            routes[row] = self._topics.dead_letters, headers
        self._judged.append(
            Judged(
                runs,
                self._ruleset,
                routes,
                masks,
                self._stopped(read.columns, masks),
                read.rejected,
                read.out_of_order,
            )
        )
        return routes

    def _stopped(self, columns: Columns, masks: dict[int, int]) -> dict[int, Payment]:
        """Return the payments of a batch's frauds, by row."""
        frauds = [row for row, mask in masks.items() if self._routes.frauds[mask]]
        if self._money is None or not frauds:
            return {}
        currencies, amounts = (columns.by_path[path] for path in self._money)
        payments = zip(
            cast("Codes", currencies).at(frauds), cast("Doubles", amounts).at(frauds), strict=True
        )
        return dict(zip(frauds, payments, strict=True))

    def _decide(self, batch: Batch, read: Read) -> tuple[dict[int, int], list[Route]]:
        """Return the mask of each row with a match, and the route of each row."""
        ruleset = self._ruleset
        columns = read.with_names() if "id" in ruleset.reads else read.columns
        values = self._values(batch, read, columns) if ruleset.windows.values else []
        masks = self._engine.masks(columns, values, read.named)
        routes = [self._routes[0]] * len(columns)
        for row, mask in masks.items():
            routes[row] = self._routes[mask]  # also to know whether it is a fraud
            if mask & ruleset.vivid:
                routes[row] = self._routes.telling(mask, [column.value(row) for column in values])
        return masks, routes

    def _values(self, batch: Batch, read: Read, columns: Columns) -> list[Whole | Doubles]:
        """Add a batch to the windows; return their values as columns of the batch."""
        counted = self._engine.counted(columns, read.named)
        parts = []
        for partition, begin, end in batch.runs:
            windows = self._partitions.ready[partition].windows
            own = {text: counts[begin:end] for text, counts in counted.items()}
            parts.append(windows.process(Rows(columns, begin, end), read.times_ms[begin:end], own))
            windows.forget_before(self._partitions.stream_times[partition].time_ms, end - begin)
        return list(map(joined, zip(*parts, strict=True)))

    def _judge_again(self, batch: Batch) -> list[Route]:
        """Return the known decisions, and judge the other records."""
        known: list[Outcome | None] = []
        appended = []
        for message, at_ms in zip(batch.messages, batch.timestamps_ms, strict=True):
            at = place_of(message)
            outcome = self._again.get(at)
            known.append(outcome)
            if outcome is not None:
                appended.append(at_ms)
                self._repeated[at] = outcome
        self._appended.append(milliseconds(appended))
        for partition, _, end in batch.runs:
            _, last = place_of(batch.messages[end - 1])
            # Earlier records that were not read again are committed after all.
            passed = [at for at in self._again if at[0] == partition and at[1] <= last]
            for at in passed:
                del self._again[at]
        fresh = [m for m, one in zip(batch.messages, known, strict=True) if one is None]
        routes = iter(self._judge(type(batch).of(fresh)) if fresh else [])
        return [next(routes) if one is None else one.route for one in known]

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Count what is now true."""
        self._count()
        self._committed_marks.update(self._marks)
        for at in self._repeated:
            self._undeliverable.pop(at, None)
        for partition, offset in offsets.items():
            if ready := self._partitions.ready.get(partition):
                ready.committed, ready.moved_to = offset, None
        self._clear()

    def _count(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        for appended in self._appended:
            metrics.observe_latencies(appended, now_ms)
        masks: dict[Ruleset, Counter[int]] = {}
        reasons: Counter[str] = Counter({Reason.UNREADABLE_BATCH: self._stepped_over})
        stopped: list[Payment] = []
        for judged in self._judged:
            counts = masks.setdefault(judged.ruleset, Counter())
            counts.update(judged.masks.values())
            counts[0] += len(judged.routes) - len(judged.masks) - len(judged.rejected)
            reasons.update(rejection.reason for rejection in judged.rejected.values())
            metrics.OUT_OF_ORDER.inc(judged.out_of_order)
            stopped += judged.stopped.values()
        for outcome in self._repeated.values():
            if outcome.rejection is not None:
                reasons[outcome.rejection.reason] += 1
            else:
                masks.setdefault(outcome.ruleset, Counter())[outcome.mask] += 1
            if outcome.stopped is not None:
                stopped.append(outcome.stopped)
        for ruleset, counts in masks.items():
            _count_matches(ruleset, counts)
        for reason, n in reasons.items():
            metrics.DEAD_LETTERS.labels(reason).inc(n)
        metrics.count_stopped(stopped)

    def rewound(self, committed: Mapping[int, int]) -> dict[int, int]:
        """Note the committed offsets, and return where partitions of a changed log resume."""
        ready = self._partitions.ready
        moved = {
            number: to
            for number in committed
            if number in ready and (to := ready[number].moved_to) is not None
        }
        done = {
            at: one
            for at, one in self._again.items()
            if at[0] not in moved and at[1] < committed.get(at[0], 0)
        }
        self._again = {at: one for at, one in self._again.items() if at not in done}
        self._repeated = done  # committed after all, whatever the client answered
        own = {n: offset for n, offset in committed.items() if n not in moved and offset >= 0}
        self.committed(own)
        return moved

    def aborted(self) -> None:
        """Keep the decisions since the last commit until their records are read again."""
        ready = self._partitions.ready
        for partition in ready.values():
            partition.begun_at = None
        again = self._repeated
        for judged in self._judged:
            again |= dict(judged.outcomes())
        self._again |= {at: outcome for at, outcome in again.items() if at[0] in ready}
        self._marks.update(self._committed_marks)
        self._clear()

    def _clear(self) -> None:
        self._judged = []
        self._repeated = {}
        self._appended = []
        self._stepped_over = 0

    def between_transactions(self, consumer: GroupConsumer) -> bool:
        """Make partitions and rulesets ready, and update metrics at intervals."""
        busy = self._partitions.turn(consumer, self._rules.current)
        if self._partitions.ruleset is not self._ruleset:
            self._ruleset = self._partitions.ruleset
            self._engine = Engine(self._ruleset)
            self._routes = Routes(self._ruleset, self._topics)
        self._rules.put_in_force(self._ruleset, self._partitions.warming)
        if time.monotonic() - self._measured_at >= MEASURE_EVERY_SECONDS:
            self._measured_at = time.monotonic()
            self._partitions.measure(consumer)
        return busy


def _joined(detail: str, more: str) -> str:
    """Join two details; the first one may already be there from an earlier attempt."""
    return detail if detail.endswith(more) else f"{detail}; {more}"


def _offsets(messages: list[Message]) -> Sequence[int]:
    """Return the offsets of one partition's records, which are in order."""
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
