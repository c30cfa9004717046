"""A stream that tries the windows: accounts that recur, bursts, and everything that goes wrong.

Deterministic: the same arguments give the same records. Times are the stream's
own and not the clock's, unless a caller hands over a clock.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from statistics import median_low
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

START_MS = 1_704_448_800_000  # in January 2024: in the past for every clock
MAX_MS = 300_000
BLOCK = 1024  # records that vote together on the stream time
# Records of an account, and the seconds they are spread over: so that accounts and windows are
# alike at every size.
RECORDS_AN_ACCOUNT = 100
SPAN_MS = 10_000_000
# The account of rank k pays in proportion to 1 / (k + accounts / 30).
_SPREAD = 31.0
_RECORDS_A_BURST = 180
# Beside these accounts, so many times as many pay now and then, and are forgotten in between.
_RARE_TIMES = 20
_RARE_SHARE = 0.05
_HOMES = ("USD", "USD", "USD", "USD", "EUR", "GBP", "JPY", "KWD", "CLF")
_DECIMALS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "CLF": 4}
_CHANNELS = ("app", "web", "branch", None)
_POINTS = (None, None, 0, 1, 2, 3, 5, 7, 40, 98, -7, -97)

# Kinds of event times, and how many of 10,000 payments have them.
_TIMES = {
    "now": 1500,
    "shortly before": 7000,
    "a whole second": 800,
    "the latest": 180,
    "late": 300,
    "as late as may be": 50,
    "a little too late": 50,
    "too late": 50,
    "ahead": 48,
    "as far ahead as may be": 2,
    "too far ahead": 20,
}
_KINDS, _WEIGHTS = tuple(_TIMES), tuple(itertools.accumulate(_TIMES.values()))
_GOOD = {"source": "a", "target": "b", "amount": 1.5, "currency": "USD"}
_BAD: tuple[bytes | None, ...] = (
    None,
    b"",
    b" \n",
    b"{",
    b'{"source": "a"',
    b"[1, 2]",
    b'"text"',
    json.dumps({"source": "a", "amount": 1.5, "currency": "USD"}).encode(),  # without a target
    json.dumps({**_GOOD, "target": None}).encode(),
    json.dumps({**_GOOD, "id": "x", "amount": "12"}).encode(),
    json.dumps({**_GOOD, "id": "x", "amount": 0}).encode(),
    json.dumps({**_GOOD, "id": "x", "amount": -3.5}).encode(),
    json.dumps({**_GOOD, "id": "x", "currency": "XXX"}).encode(),
    json.dumps({**_GOOD, "id": "x", "points": 1.5}).encode(),
    json.dumps({**_GOOD, "id": "x", "trusted": "yes"}).encode(),
    json.dumps({**_GOOD, "id": "x", "timestamp": "yesterday"}).encode(),
    json.dumps({**_GOOD, "id": "x", "timestamp": "1999-12-31T23:59:59Z"}).encode(),
)


class Written(NamedTuple):
    """A record to be written."""

    partition: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class _Payment(NamedTuple):
    """A payment of a burst, still to come."""

    due_ms: int
    serial: int
    account: int
    more: dict[str, Any]


class Stream:
    """Payments of accounts with habits, for as long as a clock goes on.

    Args:
        seed: another one gives another stream.
        accounts: how many there are.
        partitions: of the topic; the stream says which of them a record is for.

    """

    def __init__(self, seed: int, accounts: int, partitions: int) -> None:
        self._random = random.Random(seed)
        self._accounts = accounts
        self._partitions = partitions
        self._serial = itertools.count(1)
        self._bursts: list[_Payment] = []
        # By partition: the stream time, the records so far, and event times of the open block.
        self._latest: dict[int, int] = {}
        self._written: Counter[int] = Counter()
        self._open: dict[int, list[int]] = defaultdict(list)

    def records(self, clock: Iterable[int]) -> Iterator[Written]:
        """Make a record at each tick of a clock, in epoch milliseconds."""
        draw = self._random.random
        for now in clock:
            if draw() < 1 / _RECORDS_A_BURST:
                self._begin_burst(now)
            if draw() < 0.004:
                written = self._bad(now)
            elif self._bursts and self._bursts[0].due_ms <= now:
                payment = heapq.heappop(self._bursts)
                written = self._burst_payment(payment, now)
            else:
                written = self._payment(self._account(), now)
            self._count(written.partition)
            yield written

    def _count(self, partition: int) -> None:
        self._written[partition] += 1
        if self._written[partition] % BLOCK == 0:
            vote = median_low(self._open.pop(partition))
            self._latest[partition] = max(self._latest.get(partition, vote), vote)

    def _account(self) -> int:
        draw = self._random.random
        if draw() < _RARE_SHARE:
            return int(self._accounts * (1 + draw() * _RARE_TIMES))
        return int(self._accounts / (_SPREAD - 1) * (_SPREAD ** draw() - 1))

    def _bad(self, now: int) -> Written:
        partition = self._random.randrange(self._partitions)
        return Written(partition, None, self._random.choice(_BAD), now)

    def _burst_payment(self, payment: _Payment, now: int) -> Written:
        at = min(payment.due_ms, now)
        return self._payment(payment.account, now, timestamp=at, **payment.more)

    def _payment(self, account: int, now: int, **more: Any) -> Written:
        rng = self._random
        habits = random.Random(account)
        source: str | None = f"account-{account}"
        key = source.encode() if source else None
        currency = habits.choice(_HOMES)
        others = [habits.randrange(self._accounts) for _ in range(3)]
        if rng.random() < 0.12:
            currency = rng.choice(_HOMES)
        target = rng.choice(others) if rng.random() < 0.8 else rng.randrange(self._accounts)
        told: dict[str, Any] = {
            "source": source,
            "target": f"account-{target}",
            "amount": self._amount(currency, habits.uniform(10, 200)),
            "currency": currency,
            "id": f"t{next(self._serial)}",
            "channel": rng.choice(_CHANNELS),
            "device": f"{account}-{int(rng.expovariate(1.2))}" if rng.random() < 0.9 else None,
            "points": rng.choice(_POINTS),
            "trusted": rng.choice((True, True, False, None)),
        }
        told |= more
        key = self._spoil(told, key)
        partition = crc32(key or b"") % self._partitions
        if rng.random() < 0.005:
            partition = rng.randrange(self._partitions)  # an account in two partitions
        record_ms = now
        if rng.random() < 0.02:
            record_ms -= rng.randrange(120_000 if rng.random() < 0.1 else 2000)
        at = more.get("timestamp") or self._event_time(partition, now, record_ms)
        if at <= record_ms + MAX_MS:
            self._open[partition].append(at)
        told["timestamp"] = self._told(at) if at != record_ms or rng.random() < 0.3 else None
        value = {k: v for k, v in told.items() if v is not None or rng.random() < 0.1}
        return Written(partition, key, json.dumps(value).encode(), record_ms)

    def _spoil(self, told: dict[str, Any], key: bytes | None) -> bytes | None:
        """Leave out what may be missing, sometimes; and give the key."""
        chance = self._random.random()
        if chance < 0.002:
            told["source"] = None
            return None
        if chance < 0.004:
            told["source"] = ""
            return b""
        if chance < 0.008:
            told["amount"] = None
        elif chance < 0.012:
            told["currency"] = None
        elif chance < 0.016:
            told["amount"] = 1e12 if chance < 0.014 else 0.0001
        elif chance < 0.022:
            told["points"] = self._random.choice((2**62, 2**63 - 1, -(2**63), -(2**62), 2**53 + 1))
        return key

    def _amount(self, currency: str, usual: float) -> float | int:
        amount = usual * self._random.lognormvariate(0, 0.8)
        chance = self._random.random()
        if chance < 0.05:
            amount = amount / usual  # small
        elif chance < 0.06:
            amount *= 30
        if chance > 0.97:
            return int(amount) + 1
        decimals = _DECIMALS[currency]
        if chance > 0.94:  # one decimal more than there is: half a minor unit, often
            step: float = 10 ** (decimals + 1)
            return max(int(amount * step) // 10 * 10 + 5, 1) / step
        return max(round(amount, decimals), 10.0**-decimals)

    def _event_time(self, partition: int, now: int, record_ms: int) -> int:
        """When a payment happened: mostly a little before its record."""
        rng = self._random
        latest = self._latest.get(partition, now)
        (kind,) = rng.choices(_KINDS, cum_weights=_WEIGHTS)
        return {
            "now": record_ms,
            "shortly before": now - rng.randrange(3000),
            "a whole second": now - now % 1000,  # so that windows end at payments
            "the latest": latest,
            "late": latest - rng.randrange(MAX_MS),
            "as late as may be": latest - MAX_MS,
            "a little too late": latest - MAX_MS - 1,
            "too late": latest - MAX_MS - rng.randrange(1, 2 * MAX_MS),
            "ahead": record_ms + rng.randrange(20_000),
            "as far ahead as may be": record_ms + MAX_MS,
            "too far ahead": record_ms + MAX_MS + rng.choice((1, 1000, 10_000_000)),
        }[kind]

    def _told(self, at: int) -> int | str:
        """An event time in one of the ways to write it."""
        chance = self._random.random()
        if chance < 0.7:
            return at
        moment = datetime.fromtimestamp(at // 1000, UTC) + timedelta(milliseconds=at % 1000)
        if chance < 0.85:
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        offset = timedelta(minutes=self._random.choice((-570, -60, 0, 120, 345)))
        # Microseconds are cut off.
        finer = moment + timedelta(microseconds=self._random.randrange(1000))
        local = (finer + offset).replace(tzinfo=None).isoformat(timespec="microseconds")
        minutes = int(offset.total_seconds()) // 60
        sign = "-" if minutes < 0 else "+"
        return f"{local}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

    def _begin_burst(self, now: int) -> None:
        rng = self._random
        account = rng.randrange(self._accounts * 2)  # every other one is rare
        kinds = (self._tests, self._drain, self._spread_out, self._beat, self._drip, self._sleep)
        kind = rng.choice(kinds)
        start = now + rng.randrange(1000)
        for due, more in kind(start):
            heapq.heappush(self._bursts, _Payment(due, next(self._serial), account, more))

    def _tests(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Small payments within a minute, then one that is not."""
        rng = self._random
        n = rng.randint(4, 15)
        for _ in range(n):
            amount = round(rng.uniform(0.5, 4.99), 2)
            yield start + rng.randrange(50_000), {"amount": amount, "currency": "USD"}
        for _ in range(3):
            yield start + 55_000, {"amount": round(rng.uniform(150, 900), 2), "currency": "USD"}

    def _drain(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Large payments within minutes."""
        rng = self._random
        currency = rng.choice(("USD", "EUR", "KWD"))
        for _ in range(rng.randint(5, 12)):
            amount = round(rng.uniform(300, 1500), 2)
            yield start + rng.randrange(240_000), {"amount": amount, "currency": currency}

    def _spread_out(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Many targets."""
        rng = self._random
        for n in range(rng.randint(10, 20)):
            yield start + rng.randrange(500_000), {"target": f"account-{start % 1000 + n}"}

    def _beat(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Payments exactly as far apart as a window is long, or a millisecond less, or 0."""
        gap = self._random.choice((0, 1, 3000, 9999, 10_000, 59_999, 60_000, 300_000))
        for n in range(self._random.randint(4, 9)):
            yield start + n * gap, {}

    def _drip(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Many payments of little."""
        for n in range(self._random.randint(6, 12)):
            yield start + n * 80_000, {"amount": 20.0 + n, "currency": "EUR"}

    def _sleep(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Payments about as far apart as the longest window, with and without the lateness."""
        due = start
        for _ in range(self._random.randint(2, 5)):
            yield due, {}
            yield due, {}
            due += self._random.choice(
                (600_000, 900_000, 3_599_999, 3_600_000, 3_900_001, 4_300_000)
            )


def clock(records: int, start_ms: int = START_MS, span_ms: int = SPAN_MS) -> Iterator[int]:
    """Tick evenly, so often in a span, and go on so."""
    return (start_ms + i * span_ms // records for i in itertools.count())


def endless(seed: int, records: int, partitions: int) -> Iterator[Written]:
    """Make records, of as many accounts and as dense as fits to so many."""
    accounts = max(records // RECORDS_AN_ACCOUNT, 10)
    return Stream(seed, accounts, partitions).records(clock(records))


def stream(seed: int, records: int, partitions: int) -> Iterator[Written]:
    """Make so many records."""
    return itertools.islice(endless(seed, records, partitions), records)
