"""What the detector has to say of each record of its input, recomputed slowly and obviously.

Independent of the services: nothing of the detector, the rules or the windows is
imported. A rule comes as the data of its manifest, with what its expressions
mean written beside it in Python. For each aggregate the oracle keeps every
transaction of every account for good, sorted by event time, and cuts the window
out of that list. Money is added up as whole minor units, in Python's integers.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from statistics import median_low
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# The few currencies that the tests pay in, with their decimals in ISO 4217.
DECIMALS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "CLF": 4}
# What a field reads as in an expression where a transaction lacks it.
EMPTY = {"string": "", "currency": "", "double": 0.0, "int": 0, "bool": False, "timestamp": 0}
BLOCK = 1024  # offsets that vote together on the stream time
MAX_MS = 300_000  # of MAX_LATE_SECONDS and MAX_FUTURE_SECONDS, by default
THRESHOLD = 100
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_EARLIEST_MS = 946_684_800_000  # the year 2000
_INT64 = range(-(2**63), 2**63)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000}

Kind = Literal["string", "currency", "double", "int", "bool", "timestamp"]
Value = int | float | None


class Schema(NamedTuple):
    """The transaction's fields, as plain data."""

    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    money: Mapping[str, str]  # a double to the field that says its currency


DEFAULT_SCHEMA = Schema(
    {
        "source": "string",
        "target": "string",
        "amount": "double",
        "currency": "currency",
        "id": "string",
        "timestamp": "timestamp",
        "channel": "string",
        "country": "string",
        "device": "string",
    },
    ("source", "target", "amount", "currency"),
    {"amount": "currency"},
)


class Record(NamedTuple):
    """A committed record of the input topic."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class NoValueError(Exception):
    """An expression needs an aggregate that has no value."""


class Values(dict[str, Value]):
    """A rule's aggregates by name; reading one without a value fails, as in CEL."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if value is None:
            raise NoValueError(name)
        return value


Transaction = SimpleNamespace
Condition = Callable[[Transaction, Values], bool]
Where = Callable[[Transaction], bool]
# What an expression may fail with. Anything else is a mistake of the test.
FAILURES = (NoValueError, ZeroDivisionError)


class RuleVersion(NamedTuple):
    """A rule's manifest as parsed YAML, and what its expressions mean."""

    manifest: Mapping[str, Any]
    condition: Condition
    wheres: Mapping[str, Where] = {}

    @property
    def name(self) -> str:
        """The rule's name."""
        return str(self.manifest["metadata"]["name"])


class Judged(NamedTuple):
    """What has to become of a record: a reason, or which rules match with which values."""

    reason: str | None
    matches: Mapping[int, Mapping[str, Value]]  # by the index of the rule's version


def either(*conditions: Callable[[], bool]) -> bool:
    """CEL's `||`: true where one is, whatever fails beside it."""
    return not both(*(lambda c=c: not c() for c in conditions))


def both(*conditions: Callable[[], bool]) -> bool:
    """CEL's `&&`: false where one is, whatever fails beside it."""
    failure = None
    for condition in conditions:
        try:
            if not condition():
                return False
        except FAILURES as error:
            failure = error
    if failure is not None:
        raise failure
    return True


class Oracle:
    """Judges the records of any number of partitions, each partition's in the order of offsets.

    Args:
        versions: all versions of all rules that decide at some time.
        schema: the transaction's fields.
        max_late_ms: how far an event time may lie before the partition's stream time.
        max_future_ms: how far it may lie after its record's timestamp.
        block: how many offsets vote together on the stream time.

    """

    def __init__(
        self,
        versions: Sequence[RuleVersion],
        schema: Schema = DEFAULT_SCHEMA,
        max_late_ms: int = MAX_MS,
        max_future_ms: int = MAX_MS,
        block: int = BLOCK,
    ) -> None:
        self._versions = versions
        self._schema = schema
        self._max_late_ms = max_late_ms
        self._max_future_ms = max_future_ms
        self._block = block
        # By partition: the number of the block that is open, and event times of its transactions.
        self._open: dict[int, tuple[int, list[int]]] = {}
        self._stream_times: dict[int, int] = {}
        self._windows = [
            [
                _Window(aggregate, version.wheres.get(aggregate["name"]), schema)
                for aggregate in version.manifest["spec"].get("aggregates", [])
            ]
            for version in versions
        ]

    def judge(self, record: Record) -> Judged:
        """Say what has to become of the next record of its partition."""
        event_times = self._vote(record)
        given = read(record.value, self._schema)
        if isinstance(given, str):
            return Judged(given, {})
        at = event_time_ms(given.get("timestamp"), record.timestamp_ms)
        if isinstance(at, str):
            return Judged(at, {})
        if at > record.timestamp_ms + self._max_future_ms:
            return Judged("timestamp_in_future", {})
        event_times.append(at)
        if at < self._stream_times.get(record.partition, at) - self._max_late_ms:
            return Judged("timestamp_too_late", {})
        return Judged(None, self._matches(record.partition, given, at))

    def _vote(self, record: Record) -> list[int]:
        """Close the block before a record's, where it begins one; the event times of its own."""
        number, event_times = self._open.get(record.partition, (-1, []))
        if number == record.offset // self._block:
            return event_times
        if len(event_times) >= 3:
            vote = median_low(event_times)
            latest = self._stream_times.get(record.partition, vote)
            self._stream_times[record.partition] = max(latest, vote)
        fresh: list[int] = []
        self._open[record.partition] = record.offset // self._block, fresh
        return fresh

    def _matches(self, partition: int, given: dict[str, Any], at: int) -> dict[int, Values]:
        transaction = Transaction(
            **{name: given.get(name, EMPTY[kind]) for name, kind in self._schema.kinds.items()},
            given=given,
        )
        transaction.timestamp = at
        matches = {}
        for i, version in enumerate(self._versions):
            values = Values(
                (window.name, window.see(partition, transaction, at)) for window in self._windows[i]
            )
            if _holds(lambda v=version, a=values: v.condition(transaction, a)):  # type: ignore[misc]
                matches[i] = values
        return matches


class _Window:
    """One aggregate of one version of a rule: all that it ever counted, and the cut."""

    def __init__(self, aggregate: Mapping[str, Any], where: Where | None, schema: Schema) -> None:
        assert ("where" in aggregate) == (where is not None), aggregate
        self.name = str(aggregate["name"])
        self._function = str(aggregate["function"])
        self._of: str | None = aggregate.get("of")
        self._group_by = str(aggregate["groupBy"])
        self._window_ms = milliseconds(aggregate["window"])
        self._where = where
        # The field that tells the currency, where it is money that is compared or added up.
        measured = self._function not in {"Count", "CountDistinct"}
        self._currency = schema.money.get(self._of or "") if measured else None
        # By partition, account and currency: event times in order, and beside them the values.
        self._seen: dict[tuple[Any, ...], tuple[list[int], list[Any]]] = defaultdict(
            lambda: ([], [])
        )

    def see(self, partition: int, transaction: Transaction, at: int) -> Value:
        """Take note of a transaction, and give the value that it is judged with."""
        given = transaction.given
        account = given.get(self._group_by)
        currency = given.get(self._currency) if self._currency else None
        if account is None or (self._currency and currency is None):
            return self._over([], currency)
        times, values = self._seen[partition, account, currency]
        if self._counts(transaction):
            i = bisect_right(times, at)
            times.insert(i, at)
            values.insert(i, self._value_of(given, currency))
        # Event times in (at - window, at].
        first, end = bisect_right(times, at - self._window_ms), bisect_right(times, at)
        return self._over(values[first:end], currency)

    def _counts(self, transaction: Transaction) -> bool:
        if self._of is not None and transaction.given.get(self._of) is None:
            return False
        where = self._where
        return where is None or _holds(lambda: where(transaction))

    def _value_of(self, given: Mapping[str, Any], currency: str | None) -> Any:
        if self._of is None:
            return None
        return given[self._of] if currency is None else minor_units(given[self._of], currency)

    def _over(self, values: list[Any], currency: str | None) -> Value:
        n = len(values)
        if self._function == "Count":
            return n
        if self._function == "CountDistinct":
            return len(set(values))
        if self._function == "Sum":
            total = sum(values)
            return self._told(total, currency) if total in _INT64 else None
        if not values:
            return None
        if self._function == "Avg":
            total = sum(values)
            return self._told(total, currency) / n if total in _INT64 else None
        return self._told(min(values) if self._function == "Min" else max(values), currency)

    def _told(self, value: int, currency: str | None) -> int | float:
        """Money is told in its major unit, as a double; other numbers as they are."""
        if self._currency is None:
            return value
        return value / 10 ** DECIMALS[currency] if currency else 0.0


def read(value: bytes | None, schema: Schema) -> dict[str, Any] | str:
    """Read a transaction, without what is null; or say why it is none.

    Of bad records it knows those that the tests send.
    """
    if value is None:
        return "tombstone"
    if not value.strip():
        return "empty"
    try:
        document = json.loads(value)
    except ValueError:
        return "malformed_json"
    if not isinstance(document, dict):
        return "not_an_object"
    for name in schema.required:
        if document.get(name) is None:
            return "null_field" if name in document else "missing_field"
    given = {name: v for name in schema.kinds if (v := document.get(name)) is not None}
    for name, found in given.items():
        if reason := _refusal(schema.kinds[name], found):
            return reason
    for name in schema.money.keys() & given.keys():
        given[name] = float(given[name])
    return given


def _refusal(kind: Kind, found: object) -> str | None:
    number = isinstance(found, int) and not isinstance(found, bool)
    fits = {
        "string": isinstance(found, str),
        "currency": isinstance(found, str),
        "double": number or isinstance(found, float),
        "int": number,
        "bool": isinstance(found, bool),
        "timestamp": number or isinstance(found, str),
    }
    if not fits[kind]:
        return "wrong_type"
    if kind == "currency" and found not in DECIMALS:
        return "unknown_currency"
    if kind == "double" and not 0 < float(found) <= 1e12:  # type: ignore[arg-type]
        return "out_of_range"
    return None


def event_time_ms(told: int | str | None, record_ms: int) -> int | str:
    """When a transaction happened: as it says, or as its record does; or why that is no time."""
    if told is None:
        return record_ms
    if isinstance(told, str):
        try:
            told = (datetime.fromisoformat(told) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, TypeError):  # no time, or one without an offset
            return "invalid_timestamp"
    return told if told >= _EARLIEST_MS else "timestamp_too_old"


def milliseconds(window: str) -> int:
    """Read a window's length, as in 1m."""
    return int(window[:-1]) * _UNIT_MS[window[-1]]


def minor_units(amount: float, currency: str) -> int:
    """Give money as whole minor units: the nearest, half to even."""
    product: float = amount * 10 ** DECIMALS[currency]
    return round(product)


def _holds(condition: Callable[[], bool]) -> bool:
    """Whether a condition is true; one that fails is not."""
    try:
        return condition()
    except FAILURES:
        return False


def decision(
    versions: Mapping[int, RuleVersion], judged: Judged, threshold: int = THRESHOLD
) -> dict[str, Any] | None:
    """Give the decision that a transaction's header has to tell, without the ruleset's hash.

    Args:
        versions: those in force, by their index in the oracle's.
        judged: what the oracle said of the transaction.
        threshold: the score from which a transaction is fraud.

    Returns:
        None where no rule in force matches: then there is no header.

    """
    matched = [(versions[i], judged.matches[i]) for i in sorted(judged.matches) if i in versions]
    told = [
        _match(version.manifest, values)
        for version, values in sorted(matched, key=lambda match: match[0].name)
        if version.manifest["spec"].get("mode") != "Disabled"
    ]
    if not told:
        return None
    enforced = [match for match in told if match["mode"] == "Enforce"]
    score = sum(match["score"] for match in enforced if match["action"] == "Flag")
    allowed = any(match["action"] == "Allow" for match in enforced)
    verdict = "fraud" if score >= threshold and not allowed else "legit"
    return {"verdict": verdict, "score": score, "matches": told}


def _match(manifest: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    metadata, spec = manifest["metadata"], manifest["spec"]
    told = {
        "rule": metadata["name"],
        "generation": metadata.get("generation", 1),
        "mode": spec.get("mode", "Enforce"),
        "action": spec.get("action", "Flag"),
        "score": spec.get("score", 100),
        "severity": spec.get("severity", "Medium"),
        "reasonCode": spec.get("reasonCode") or metadata["name"].upper().replace("-", "_"),
        "description": spec.get("description", ""),
    }
    if "aggregates" in spec:
        told["aggregates"] = dict(values.items())
    return told
