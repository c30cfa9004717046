"""Random transactions, as the project's seed has them: between accounts that never recur."""

from __future__ import annotations

import random
import string

import msgspec

ACCOUNT_LENGTH = 12
_ALPHABET = (string.digits + string.ascii_letters).encode()
# A random byte to a character. 256 is no multiple of 62, so the first 8 come a quarter more often.
_CHARACTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_CENTS = range(100, 100_001)

Record = tuple[str, bytes]


class Transaction(msgspec.Struct, gc=False):
    """What is written, field by field."""

    source: str
    target: str
    amount: float
    currency: str
    id: str
    timestamp: int


class Uniform:
    """Accounts of 12 letters and digits, amounts of 1.00 to 1000.00 USD, all equally likely.

    Everything but the timestamps follows from the seed.
    """

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)

    def records(self, n: int, timestamp_ms: int) -> list[Record]:
        """Make n records: the key (the source account) and the value (JSON).

        About 0.9 µs a record.
        """
        rng, width = self._random, 2 * ACCOUNT_LENGTH
        names = rng.randbytes(n * width).translate(_CHARACTERS).decode()
        ids = rng.randbytes(n * 16).hex()
        cents = rng.choices(_CENTS, k=n)
        encode = msgspec.json.encode
        records = []
        for i in range(n):
            source = names[i * width : i * width + ACCOUNT_LENGTH]
            target = names[i * width + ACCOUNT_LENGTH : (i + 1) * width]
            one = Transaction(
                source, target, cents[i] / 100, "USD", ids[i * 32 : i * 32 + 32], timestamp_ms
            )
            records.append((source, encode(one)))
        return records
