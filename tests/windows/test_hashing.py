"""Hashes of texts: those of OpenSSL, and each text for itself."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from services.windows.hashing import hashed

KEY = bytes(range(16))
# openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 -in FILE SIPHASH,
# with the bytes 0, 1, 2 … in the file.
OPENSSL = {
    0: "A3817F04BA25A8E66DF67214C7550293",
    1: "DA87C1D86B99AF44347659119B22FC45",
    7: "A1F1EBBED8DBC153C0B84AA61FF08239",
    8: "3B62A9BA6258F5610F83E264F31497B4",
    12: "D626B266905EF35882634DF68532C125",
    15: "5493E99933B0A8117E08EC0F97CFC3D9",
    16: "6EE2A4CA67B054BBFD3315BF85230577",
    63: "5150D1772F50834A503E069A973FBD7C",
}


def made(texts: list[str], key: bytes = KEY) -> list[str]:
    parts = [text.encode() for text in texts]
    lengths = np.array([len(part) for part in parts])
    data = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
    first, second = hashed(data, np.cumsum(lengths) - lengths, lengths, key)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return [struct.pack("<qq", *pair).hex().upper() for pair in pairs]


@pytest.mark.parametrize("length", OPENSSL)
def test_a_hash_is_that_of_openssl(length: int) -> None:
    assert made(["".join(map(chr, range(length)))]) == [OPENSSL[length]]


def test_each_text_has_the_hash_that_it_has_alone() -> None:
    texts = ["", "a", "ab", "", "\0", "é", "eleven_char\U0001d49c", "x" * 300, "a" * 8, "a"]
    assert made(texts) == [made([text])[0] for text in texts]


def test_where_a_text_ends_makes_a_difference() -> None:
    assert len(set(made(["ab", "c", "a", "bc", "abc", "", "abc\0", "\0abc"]))) == 8


def test_another_key_gives_others() -> None:
    assert made(["a"], bytes(16)) != made(["a"])
