"""The oracle against cases computed by hand, and the stream against what it is for."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.soak import comparison
from tests.soak.comparison import DifferenceError, Found, Phase
from tests.soak.rules import (
    ADDED,
    OTHER_EXPRESSION,
    OTHER_WINDOWS,
    RULES,
    SCHEMA,
    aggregate,
    rule,
)
from tests.support import oracle
from tests.support.oracle import DEFAULT_SCHEMA, Oracle, Record, RuleVersion, Values
from tests.support.oracle_stream import START_MS, stream

if TYPE_CHECKING:
    from tests.support.oracle import Schema, Where

NOON = START_MS


def record(offset: int, at: int | None = None, partition: int = 0, **more: Any) -> Record:
    """A transaction of 10 dollars by alice; its record's timestamp is noon."""
    told = {"source": "alice", "target": "bob", "amount": 10.0, "currency": "USD", "id": "x"}
    told |= {"timestamp": at} if at is not None else {}
    value = {k: v for k, v in {**told, **more}.items() if v is not None}
    return Record(partition, offset, NOON, b"alice", json.dumps(value).encode())


def values_of(
    records: list[Record],
    wanted: dict[str, str],
    where: Where | None = None,
    schema: Schema = DEFAULT_SCHEMA,
) -> list[Any]:
    """The value of one aggregate for each record."""
    version = RuleVersion(
        rule("r", "true", (wanted,)), lambda _t, _a: True, {"x": where} if where else {}
    )
    judge = Oracle([version], schema).judge
    return [dict(judge(r).matches[0].items())["x"] for r in records]


def test_a_window_ends_with_the_transaction_and_begins_after_its_length() -> None:
    times = [NOON, NOON + 59_999, NOON + 60_000, NOON + 60_000, NOON + 60_001]
    count = aggregate("x", "Count", "1m")
    assert values_of([record(i, at) for i, at in enumerate(times)], count) == [1, 2, 2, 3, 4]


def test_later_event_times_that_came_before_do_not_count_and_late_ones_are_seen() -> None:
    times = [NOON + 10_000, NOON, NOON + 10_000, NOON + 5000]
    count = aggregate("x", "Count", "10s")
    # The second is not in the third's window, which begins just after noon.
    assert values_of([record(i, at) for i, at in enumerate(times)], count) == [1, 1, 2, 2]


def test_accounts_and_partitions_are_counted_apart() -> None:
    records = [
        record(0),
        record(1, source="carol"),
        record(2),
        record(0, partition=1),
        record(3, source="carol"),
    ]
    assert values_of(records, aggregate("x", "Count", "1m")) == [1, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("Sum", [0.1, 0.3, 5.0, 0.6, 0.3]),
        ("Avg", [0.1, 0.3 / 2, 5.0, 0.6 / 3, 0.3]),
        ("Min", [0.1, 0.1, 5.0, 0.1, 0.3]),
        ("Max", [0.1, 0.2, 5.0, 0.3, 0.3]),
    ],
)
def test_money_is_exact_and_apart_by_currency(function: str, expected: list[float]) -> None:
    paid = [(0.1, "USD"), (0.2, "USD"), (5.0, "EUR"), (0.3, "USD"), (0.3, "GBP")]
    records = [record(i, amount=a, currency=c) for i, (a, c) in enumerate(paid)]
    assert values_of(records, aggregate("x", function, "1m", "amount")) == expected


def test_money_is_rounded_to_minor_units_half_to_even() -> None:
    amounts = [(0.125, "USD"), (0.375, "USD"), (2.5, "JPY"), (3.5, "JPY"), (1.0005, "KWD")]
    units = [oracle.minor_units(amount, currency) for amount, currency in amounts]
    assert units == [12, 38, 2, 4, 1000]


def test_distinct_values_are_counted_once_and_missing_ones_not() -> None:
    targets = ["a", "b", "a", "c"]
    records = [record(i, target=t) for i, t in enumerate(targets)]
    assert values_of(records, aggregate("x", "CountDistinct", "1m", "target")) == [1, 2, 2, 3]
    devices = [None, "a", None]
    records = [record(i, device=d) for i, d in enumerate(devices)]
    assert values_of(records, aggregate("x", "CountDistinct", "1m", "device")) == [0, 1, 1]


def test_whole_numbers_stay_whole_and_a_sum_beyond_int64_has_no_value() -> None:
    records = [record(i, points=p) for i, p in enumerate([2**62, 2**62 - 1, 1, -5])]
    summed = values_of(records, aggregate("x", "Sum", "1m", "points"), schema=SCHEMA)
    assert summed == [2**62, 2**63 - 1, None, 2**63 - 5]
    assert values_of(records, aggregate("x", "Max", "1m", "points"), schema=SCHEMA) == [2**62] * 4


def test_over_nothing() -> None:
    nobody = [record(0, source=None), record(1, source=None)]
    for function, of, value in (
        ("Count", "", 0),
        ("CountDistinct", "target", 0),
        ("Sum", "points", 0),
        ("Sum", "amount", 0.0),
        ("Avg", "points", None),
        ("Min", "amount", None),
        ("Max", "points", None),
    ):
        told = values_of(nobody, aggregate("x", function, "1m", of), schema=SCHEMA)
        assert told == [value, value]
        assert type(told[0]) is type(value)


def test_only_what_passes_the_where_counts_and_a_failing_where_does_not() -> None:
    counted = {**aggregate("x", "Count", "1m"), "where": "10 / transaction.points >= 2"}
    records = [record(i, points=p) for i, p in enumerate([5, 0, None, 6, 1])]
    found = values_of(records, counted, lambda t: int(10 / t.points) >= 2, SCHEMA)
    assert found == [1, 1, 1, 1, 2]


def test_stream_time_decides_what_is_too_late() -> None:
    judge = Oracle([], block=4).judge
    times = [
        # The first block's median is noon; before it votes nothing is late.
        (NOON, None),
        (NOON + 300_001, "timestamp_in_future"),  # has no vote
        (NOON - 900_000, None),
        (NOON + 300_000, None),
        # The second's is lower, and what is late votes too.
        (NOON - 300_000, None),
        (NOON - 300_001, "timestamp_too_late"),
        (NOON + 300_000, None),
        (NOON + 300_000, None),
        # The third's is five minutes later.
        (NOON - 300_000, None),
        (NOON + 300_000, None),
        (NOON + 300_000, None),
        (NOON + 300_000, None),
        (NOON - 1, "timestamp_too_late"),
        (NOON, None),
    ]
    found = [judge(record(i, at)).reason for i, (at, _) in enumerate(times)]
    assert found == [reason for _, reason in times]
    assert judge(record(0, NOON - 1, partition=1)).reason is None


def test_event_times_in_all_their_ways() -> None:
    assert oracle.event_time_ms(None, 5) == 5
    assert oracle.event_time_ms(NOON, 5) == NOON
    assert oracle.event_time_ms("2024-01-05T10:00:00Z", 5) == NOON
    assert oracle.event_time_ms("2024-01-05T12:00:00.0019+02:00", 5) == NOON + 1
    assert oracle.event_time_ms("2024-01-05T10:00:00", 5) == "invalid_timestamp"
    assert oracle.event_time_ms("1999-12-31T23:59:59Z", 5) == "timestamp_too_old"


def test_a_condition_that_needs_what_has_no_value_does_not_match() -> None:
    no_value = Values(x=None)
    with pytest.raises(oracle.NoValueError):
        oracle.both(lambda: True, lambda: no_value["x"] < 5)
    assert not oracle.both(lambda: no_value["x"] < 5, lambda: False)
    assert oracle.either(lambda: no_value["x"] < 5, lambda: True)
    with pytest.raises(oracle.NoValueError):
        oracle.either(lambda: no_value["x"] < 5, lambda: False)


def test_scores_add_up_an_allow_wins_and_shadows_decide_nothing() -> None:
    def version(name: str, **spec: Any) -> RuleVersion:
        return RuleVersion(rule(name, "true", **spec), lambda _t, _a: True)

    every = {
        0: version("b", score=60),
        1: version("a", score=40),
        2: version("c", mode="Shadow"),
        3: version("d", action="Allow"),
    }
    judged = Oracle(list(every.values())).judge(record(0))
    told = oracle.decision({i: every[i] for i in (0, 1, 2)}, judged)
    assert told is not None
    assert (told["verdict"], told["score"]) == ("fraud", 100)
    assert [match["rule"] for match in told["matches"]] == ["a", "b", "c"]
    allowed = oracle.decision(every, judged)
    assert allowed is not None
    assert (allowed["verdict"], allowed["score"]) == ("legit", 100)
    assert oracle.decision({}, judged) is None


def test_the_stream_is_the_same_each_time_and_has_something_for_each_rule() -> None:
    records = 30_000
    written = list(stream(7, records, 4))
    assert written[:1000] == [w for w, _ in zip(stream(7, records, 4), range(1000), strict=False)]
    versions = [*RULES, ADDED, OTHER_WINDOWS, OTHER_EXPRESSION]
    judge = Oracle(versions, SCHEMA).judge
    offsets: Counter[int] = Counter()
    judged = []
    for w in written:
        offset = offsets[w.partition]
        offsets[w.partition] += 1
        judged.append(judge(Record(w.partition, offset, w.timestamp_ms, w.key, w.value)))
    matched = Counter(i for each in judged for i in each.matches)
    for i, version in enumerate(versions):
        assert 0.001 <= matched[i] / records <= 0.2, version.name
    reasons = Counter(each.reason for each in judged)
    assert reasons[None] > 0.95 * records
    assert reasons.keys() >= {"timestamp_too_late", "timestamp_in_future", "tombstone"}
    values = [v for each in judged for values in each.matches.values() for v in values.values()]
    assert None in values


# The comparison, shown to fail.


def _always(_t: object, _a: object) -> bool:
    return True


OLD = Phase("old", {0: RuleVersion(rule("r", "…", (aggregate("x", "Count", "1m"),)), _always)})
NEW = Phase("new", {1: RuleVersion(rule("r", "…", generation=2), _always)})
MATCHED = oracle.Judged(None, {0: Values(x=3), 1: Values()})
LEGIT = oracle.Judged(None, {})


def found(phase: Phase, **more: Any) -> Found:
    told = oracle.decision(phase.versions, MATCHED)
    assert told is not None
    text = json.dumps({**told, **more, "ruleset": phase.hash})
    return Found(told["verdict"], text.encode())


def compared(
    judged: list[oracle.Judged], came: list[Found], phases: tuple[Phase, ...] = (OLD, NEW)
) -> list[int]:
    return comparison.compare([record(i) for i in range(len(came))], judged, came, phases)


def test_equal_decisions_are_equal_and_phases_follow_one_another() -> None:
    judged = [MATCHED, LEGIT, MATCHED, LEGIT]
    came = [found(OLD), Found("legit", None), found(NEW), Found("legit", None)]
    assert compared(judged, came) == [2, 2]


@pytest.mark.parametrize(
    "came",
    [
        [Found("legit", None)],
        [Found("timestamp_too_late", None)],
        [found(OLD, score=99)],
        [found(OLD)._replace(destination="legit")],
        [found(OLD)._replace(decision=(found(OLD).decision or b"").replace(b": 3", b": 3.0"))],
        [found(OLD)._replace(decision=(found(OLD).decision or b"").replace(b"old", b"new"))],
        [found(NEW), found(OLD)],
    ],
)
def test_a_difference_is_told(came: list[Found]) -> None:
    with pytest.raises(DifferenceError, match="differ; the first:\npartition 0, offset"):
        compared([MATCHED] * len(came), came)
