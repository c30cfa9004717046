"""Transactions of accounts that come back: what windows are measured with."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Producer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.local_kafka import Broker

PER_HOUR = 64
_HOUR_MS = 3_600_000
_ALPHABET = string.digits + string.ascii_letters
# Rare accounts that the rules on names look for; the last is 12 characters and 13 of UTF-16.
_ODD_ACCOUNTS = ("0zz456789abc", "abcdefghi0zz", "short", "eleven_char\U0001d49c")
# Now and then one busy account pays a dozen times within the time of a burst.
_BUSY_SHARE, _BURST_RECORDS = 0.02, 600
_LATE_SHARE, _LATEST_MS = 0.01, 5_000


class Sent(NamedTuple):
    """A record as it is written."""

    key: bytes
    value: bytes
    timestamp_ms: int


class Recurring(NamedTuple):
    """So many accounts, each with about 64 records an hour of event time; some far busier.

    Everything follows from the seed but the start, which is the time of the
    first record. A few records come late, or leave their time to the record.
    One account may have a share of all records for itself (`hot_share`), or the
    accounts may take turns (`in_turn`), so that each has as many as any other.
    """

    records: int
    accounts: int
    seed: int = 1
    per_hour: int = PER_HOUR
    hot_share: float = 0.0
    in_turn: bool = False

    @property
    def span_ms(self) -> int:
        """From the first record to the last, in event time."""
        return int(self.records * self._step_ms)

    @property
    def _step_ms(self) -> float:
        return _HOUR_MS / self.per_hour / self.accounts

    def make(self, start_ms: int) -> Iterator[Sent]:
        """Make the records, in order: about 3 µs each."""
        rng = random.Random(self.seed)
        accounts = [*_names(rng, self.accounts - len(_ODD_ACCOUNTS)), *_ODD_ACCOUNTS]
        busy = accounts[: max(self.accounts // 1000, 10)]
        draw, step_ms, hot = rng.random, self._step_ms, busy[0]
        for n in range(self.records):
            at = start_ms + int(n * step_ms)
            if n % _BURST_RECORDS == 0:
                hot = busy[int(draw() * len(busy))]
            source = hot if draw() < _BUSY_SHARE else accounts[int(draw() * len(accounts))]
            if self.in_turn:
                source = accounts[n % len(accounts)]
            elif self.hot_share and draw() < self.hot_share:
                source = busy[0]
            target = source if draw() < 0.001 else accounts[int(draw() * len(accounts))]
            late = int(draw() * _LATEST_MS) if draw() < _LATE_SHARE else 0
            value = (
                f'{{"source":"{source}","target":"{target}",{_amount(draw())},'
                f'"id":"{n:08x}"{_rest(draw(), at - late)}}}'
            )
            yield Sent(source.encode(), value.encode(), at)

    def write(self, broker: Broker, topic: str, start_ms: int) -> None:
        """Write the records to a topic that exists; those of an account keep their order."""
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "delivery.report.only.error": True,
                "on_delivery": _fail,
            }
        )
        for key, value, at in self.make(start_ms):
            while True:
                try:
                    producer.produce(topic, value, key, timestamp=at)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert not producer.flush(60), "records were not acknowledged"


def _names(rng: random.Random, n: int) -> list[str]:
    return ["".join(rng.choices(_ALPHABET, k=12)) for _ in range(n)]


def _amount(chance: float) -> str:
    """1.00 to 1000.00 of a currency: cents mostly, sometimes none or three decimals."""
    if chance > 0.999:
        return '"amount":1.25,"currency":"USD"'
    tenth = int(chance * 10)
    thousandths = 1_000 + int(chance * 10 % 1 * 999_001)
    if tenth == 0:
        code, decimals = (
            ("EUR", 2) if chance > 0.02 else ("JPY", 0) if chance > 0.01 else ("KWD", 3)
        )
    else:
        code, decimals = "USD", 2
    return f'"amount":{thousandths / 1000:.{decimals}f},"currency":"{code}"'


def _rest(chance: float, at: int) -> str:
    """The time, which few leave out, and a country, which few tell."""
    time = "" if chance < 0.01 else f',"timestamp":{at}'
    if chance < 0.95:
        return time
    return f'{time},"country":"{"KP" if chance < 0.951 else "DE"}"'


def _fail(error: object, _: object) -> None:
    if error is not None:
        raise RuntimeError(f"not delivered: {error}")
