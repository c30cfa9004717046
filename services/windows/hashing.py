"""128-bit hashes of texts, by SipHash-2-4 with a secret key: nobody can make two texts collide.

J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012; with
128 bits as in their reference implementation.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import numpy as np

from services.compiled import Ints, entry_point, inlined, signed, unsigned

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]


def new_key() -> bytes:
    """Make a secret key: 16 random bytes."""
    return os.urandom(16)


def hashed(
    data: npt.NDArray[np.uint8], starts: Numbers, lengths: Numbers, key: bytes
) -> tuple[Numbers, Numbers]:
    """Return the two halves of each text's hash: int64[n] twice.

    Args:
        data: Bytes with all texts.
        starts: int64[n], the index at which each text begins.
        lengths: int64[n], the number of bytes of each text.
        key: 16 bytes.

    """
    n = len(starts)
    first, second = np.empty(n, np.int64), np.empty(n, np.int64)
    hash_all(
        cast("Ints", data),
        cast("Ints", _contiguous(starts)),
        cast("Ints", _contiguous(lengths)),
        cast("Ints", np.frombuffer(key, np.int64)),
        cast("Ints", first),
        cast("Ints", second),
    )
    return first, second


def _contiguous(column: Numbers) -> Numbers:
    return column if column.flags.c_contiguous else np.ascontiguousarray(column)


@inlined
def _rotated(word: int, by: int) -> int:
    return (word << unsigned(by)) | (word >> unsigned(64 - by))


@inlined
def _round(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    a += b
    b = _rotated(b, 13) ^ a
    a = _rotated(a, 32)
    c += d
    d = _rotated(d, 16) ^ c
    a += d
    d = _rotated(d, 21) ^ a
    c += b
    b = _rotated(b, 17) ^ c
    c = _rotated(c, 32)
    return a, b, c, d


@entry_point
def hash_all(data: Ints, starts: Ints, lengths: Ints, key: Ints, first: Ints, second: Ints) -> None:
    """Hash texts that are parts of one buffer."""
    k0, k1 = unsigned(key[0]), unsigned(key[1])
    for i in range(len(lengths)):
        begin = starts[i]
        end = begin + lengths[i]
        a = k0 ^ unsigned(0x736F6D6570736575)
        b = k1 ^ unsigned(0x646F72616E646F6D) ^ unsigned(0xEE)
        c = k0 ^ unsigned(0x6C7967656E657261)
        d = k1 ^ unsigned(0x7465646279746573)
        at = begin
        while True:
            # Eight bytes, the lowest first; the last word ends with the length.
            left = min(end - at, 8)
            word = unsigned(0)
            for j in range(left):
                word |= unsigned(data[at + j]) << unsigned(8 * j)
            if left < 8:
                word |= unsigned(end - begin) << unsigned(56)
            d ^= word
            a, b, c, d = _round(a, b, c, d)
            a, b, c, d = _round(a, b, c, d)
            a ^= word
            at += 8
            if left < 8:
                break
        c ^= unsigned(0xEE)
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        first[i] = signed(a ^ b ^ c ^ d)
        b ^= unsigned(0xDD)
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        second[i] = signed(a ^ b ^ c ^ d)


def prepare() -> None:
    """Compile the code, or load it from the cache."""
    zero = np.zeros(1, np.int64)
    hashed(np.zeros(1, np.uint8), zero, zero, bytes(16))
