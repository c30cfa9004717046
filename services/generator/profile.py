"""Random transactions between accounts that never recur, as in the project's first version."""

from __future__ import annotations

import random
import string
from struct import Struct

_ALPHABET = (string.digits + string.ascii_letters).encode()
# A random byte to a character. 256 is not a multiple of 62, so the first 8 occur a quarter more
# often.
CHARACTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))
_LEAST_CENTS, _AMOUNTS = 100, 99_901

# The 44 random bytes of a record: source (12), target (12), id (16), amount (4). Three views:
_RECORD_BYTES = 44
_ACCOUNTS = Struct("12s12s20x")  # of characters
_IDS = Struct("48x32s8x")  # of hex digits, two a byte
_AMOUNT = Struct("<40xI")
# Letters, digits and numbers need no escaping, so JSON is formatted as text: 10 % less time.
_JSON = b'{"source":"%b","target":"%b","amount":%d.%02d,"currency":"USD","id":"%b","timestamp":%d}'

Record = tuple[bytes, bytes]


class Uniform:
    """Accounts of 12 letters and digits, amounts of 1.00 to 1000.00 USD, all equally likely.

    Everything except the timestamps is determined by the seed, however the records
    are split into calls: each record takes its own bytes of one random sequence.
    """

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)

    def records(self, n: int, timestamp_ms: int) -> list[Record]:
        """Make n records, each a key (the source account) and a value (JSON).

        It takes about 0.7 µs a record.
        """
        data = self._random.randbytes(n * _RECORD_BYTES)
        accounts = _ACCOUNTS.iter_unpack(data.translate(CHARACTERS))
        ids = _IDS.iter_unpack(data.hex().encode())
        cents = (_LEAST_CENTS + word % _AMOUNTS for (word,) in _AMOUNT.iter_unpack(data))
        return [
            (source, _JSON % (source, target, c // 100, c % 100, id_, timestamp_ms))
            for (source, target), (id_,), c in zip(accounts, ids, cents, strict=True)
        ]
