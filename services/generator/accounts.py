"""Transactions as in a bank: accounts that recur and have habits, and some that are robbed.

An account is a number. A hash of the number and the seed gives its name and its habits, each time
it pays. So ten million accounts take no more memory than ten. Number 0 is the most active.
"""

from __future__ import annotations

import heapq
import math
import random
from hashlib import blake2b
from statistics import NormalDist
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from services.generator.profile import CHARACTERS, Record
from services.transactions.currencies import DECIMALS

if TYPE_CHECKING:
    from collections.abc import Callable

# The account of rank k (from 0) pays in proportion to 1 / (k + accounts / 300): Zipf's law with the
# exponent 1, flattened at its head (Mandelbrot). Whatever their number, the 1 % most active make
# 24 % of all transactions; of 10,000 accounts the first makes 0.5 %. Zipf's own law would give it
# 10 %: too many for one partition, and no rule could distinguish its day from a burst.
_SPREAD = 301.0

# Amounts in US dollars: an account's usual one, and a payment as a multiple of it. Log-normal: each
# value is the middle of one of 256 (or 4096) equally likely parts.
_NORMAL = NormalDist()
_USUAL = [200 * math.exp(0.6 * _NORMAL.inv_cdf((i + 0.5) / 256)) for i in range(256)]
_MULTIPLES = [math.exp(0.5 * _NORMAL.inv_cdf((i + 0.5) / 4096)) for i in range(4096)]
_LEAST, _MOST = 1, 100_000  # of a payment, in whole units of its currency

# One byte of a hash chooses an account's currency, country, the currency's minor units, and its
# units to the dollar: few for yen, so that draining a rich account stays below the largest payment.
_HOMES = [
    (currency, country, 10 ** DECIMALS[currency.decode()], units)
    for currency, country, units, of_256 in (
        (b"USD", b"US", 1, 210),
        (b"EUR", b"DE", 1, 9),
        (b"EUR", b"FR", 1, 8),
        (b"EUR", b"IT", 1, 5),
        (b"EUR", b"ES", 1, 4),
        (b"GBP", b"GB", 1, 15),
        (b"JPY", b"JP", 10, 5),
    )
    for _ in range(of_256)
]
_CHANNELS = [b"app"] * 128 + [b"web"] * 90 + [b"branch"] * 26 + [b"phone"] * 12

# An account has 2 to 8 counterparties; it pays the second half as often as the first, the third a
# third as often. For each number of counterparties, a table from a byte to one of them.
_MOST_PARTIES = 8


def _parties(n: int) -> bytes:
    shares = [1 / (i + 1) for i in range(n)]
    bounds = [256 * sum(shares[: i + 1]) / sum(shares) for i in range(n)]
    return bytes(sum(byte >= bound for bound in bounds[:-1]) for byte in range(256))


_PARTIES = [_parties(n) for n in range(2, _MOST_PARTIES + 1)]

# The 64 bytes of a hash: name, two devices, home, channel, usual amount, number of counterparties,
# and their positions.
_HABITS = Struct("<12s8s8sBBBxIII20x")
# The 24 random bytes of a transaction: payer, payee, device, amount, and the id (16).
_DRAW = Struct("<IBBH16x")
_IDS = Struct("16x32s")  # in hex digits, two a byte
_OTHER_DEVICE = 32  # of 256

_JSON = (
    b'{"source":"%b","target":"%b","amount":%b,"currency":"%b","id":"%b","timestamp":%b,'
    b'"country":"%b","channel":"%b","device":"%b"}'
)

# Both kinds are equally likely; they have 20 and 10 payments on average, which is 1 % of all
# records.
_RECORDS_A_BURST = 1500
# Bursts are planned for this rate if the actual one is higher or unlimited: then they only become
# shorter, never too long for a window.
_FASTEST_PER_SECOND = 20_000.0

Kind = Literal["card testing", "draining"]


class Burst(NamedTuple):
    """A burst that has begun."""

    source: bytes
    kind: Kind
    usual: float  # in the account's currency
    left: int  # payments still to come


class Accounts:
    """Payments between accounts with habits, and bursts that rules with windows can catch.

    An account has its name, usual amount, currency, country, channel, one or two devices and 2 to 8
    counterparties. About 1 % of transactions belong to bursts, of accounts drawn uniformly:

    - card testing: 10 to 30 payments of less than 5.00, within 20 to 60 s;
    - draining: 5 to 15 payments that add up to more than 20 times the account's usual amount,
      within 30 s to 5 minutes.

    Nothing in a transaction marks it as part of a burst, and the account makes its other payments
    meanwhile.

    Everything except the timestamps is determined by the arguments, however the records are split
    into calls. So bursts cannot be timed by a clock: they are planned in records, as many as the
    nominal rate makes in their time, and take that time if the rate is kept. A generator that falls
    behind stretches them; below about 1/s there are too few records to make them dense.

    Args:
        seed: Seed of the random numbers; None is another one each time.
        accounts: Number of accounts, at least 10.
        per_second: Nominal rate; infinite means as fast as possible.

    """

    def __init__(self, seed: int | None, accounts: int, per_second: float) -> None:
        if seed is None:
            seed = random.SystemRandom().getrandbits(64)
        self._accounts = accounts
        self._prefix = blake2b(b"%d" % seed, digest_size=16).digest()
        self._random = random.Random(seed)
        per_second = min(per_second, _FASTEST_PER_SECOND)
        self._bursts = _Bursts(random.Random(f"bursts {seed}"), accounts, per_second, self._usual)

    def records(self, n: int, timestamp_ms: int) -> list[Record]:
        """Make n records, each a key (the source account) and a value (JSON).

        It takes about 3 µs a record.
        """
        data = self._random.randbytes(n * _DRAW.size)
        ids = _IDS.iter_unpack(data.hex().encode())
        bursts, timestamp = self._bursts.of_next(n), b"%d" % timestamp_ms
        habits, accounts = self._habits, self._accounts
        head, most_stride = accounts / (_SPREAD - 1), max((accounts - 1) // _MOST_PARTIES, 1)
        made = []
        for i, ((who, to, by, step), (id_,)) in enumerate(
            zip(_DRAW.iter_unpack(data), ids, strict=True)
        ):
            if i in bursts:
                number, multiple = bursts[i]
            else:
                number = int(head * (_SPREAD ** (who * 2**-32) - 1))
                multiple = _MULTIPLES[step >> 4]
            name, one, other, home, channel, usual, parties, first, stride = habits(number)
            source = name.translate(CHARACTERS)
            # All steps are below accounts - 1: no two are equal, and none leads to the account.
            away = first + _PARTIES[parties % len(_PARTIES)][to] * (1 + stride % most_stride)
            target = habits((number + 1 + away % (accounts - 1)) % accounts)[0]
            currency, country, minor, units = _HOMES[home]
            amount = int(_USUAL[usual] * units * multiple * minor)
            amount = min(max(amount, _LEAST * minor), _MOST * minor)
            value = _JSON % (
                source,
                target.translate(CHARACTERS),
                b"%d.%02d" % divmod(amount, 100) if minor == 100 else b"%d" % amount,
                currency,
                id_,
                timestamp,
                country,
                _CHANNELS[channel],
                (other if by < _OTHER_DEVICE else one).hex().encode(),
            )
            made.append((source, value))
        return made

    def bursts(self) -> list[Burst]:
        """Return the bursts that have begun and are not complete after the records so far."""
        return [
            Burst(self._habits(b.number)[0].translate(CHARACTERS), b.kind, usual, b.left)
            for b in self._bursts.under_way()
            for usual in (self._usual(b.number),)
        ]

    def _usual(self, number: int) -> float:
        _, _, _, home, _, usual, *_ = self._habits(number)
        return _USUAL[usual] * _HOMES[home][3]

    def _habits(self, number: int) -> tuple[bytes, bytes, bytes, int, int, int, int, int, int]:
        """Return an account's fields of `_HABITS`, in 0.5 µs."""
        digest = blake2b(self._prefix + number.to_bytes(4, "little")).digest()
        return _HABITS.unpack(digest)


class _Planned(NamedTuple):
    """A burst with payments to come; in sorted order, the first one pays next."""

    due: int  # record for its next payment, or the next one that is free
    serial: int
    number: int
    kind: Kind
    payments: int
    left: int
    until: int  # latest record for its last payment


class _Bursts:
    """The records that are payments of bursts; has 0.07 bursts for each record a second."""

    def __init__(
        self, source: random.Random, accounts: int, per_second: float, usual: Callable[[int], float]
    ) -> None:
        self._random = source
        self._accounts = accounts
        self._per_second = per_second
        self._usual = usual
        self._made = self._free = 0
        self._started = -1
        self._planned = [self._plan(0, 0)]

    def of_next(self, n: int) -> dict[int, tuple[int, float]]:
        """Return the payments of bursts in the next n records: account, multiple of its usual."""
        found = {}
        end = self._made + n
        while (at := max(self._planned[0].due, self._free)) < end:
            burst = heapq.heappop(self._planned)
            if burst.left == burst.payments:
                self._started = burst.serial
                heapq.heappush(self._planned, self._plan(at, burst.serial + 1))
            found[at - self._made] = burst.number, self._multiple(burst)
            self._free = at + 1
            if left := burst.left - 1:
                gap = (burst.until - at) / left * self._random.uniform(0.5, 1)
                heapq.heappush(self._planned, burst._replace(due=at + int(gap), left=left))
        self._made = end
        return found

    def under_way(self) -> list[_Planned]:
        """Return the bursts that have begun; one more is always planned."""
        return [burst for burst in self._planned if burst.serial <= self._started]

    def _plan(self, after: int, serial: int) -> _Planned:
        """Plan the next burst after a record."""
        draw = self._random
        due = after + int(draw.expovariate(1 / _RECORDS_A_BURST))
        number = int(draw.random() * self._accounts)
        kind: Kind = "card testing" if draw.random() < 0.5 else "draining"
        payments = draw.randint(10, 30) if kind == "card testing" else draw.randint(5, 15)
        seconds = draw.uniform(20, 60) if kind == "card testing" else draw.uniform(30, 300)
        until = due + int(seconds * self._per_second)
        return _Planned(due, serial, number, kind, payments, payments, until)

    def _multiple(self, burst: _Planned) -> float:
        if burst.kind == "card testing":
            return self._random.uniform(1, 4.99) / self._usual(burst.number)
        return 20 / burst.payments * self._random.uniform(1.25, 2.25)
