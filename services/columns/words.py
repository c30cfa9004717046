"""Hash table from words to numbers, looked up by bytes that lie somewhere in the data.

It holds the names of a schema's fields, and what each enumeration may be. Words
of one group are distinct from those of others, so that one table serves all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.columns.loads import PADDING, load, load_masked
from services.compiled import compiled, entry_point, inlined, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

UNKNOWN = -1


WORD = np.dtype(
    [("start", np.int64), ("length", np.int64), ("group", np.int64), ("number", np.int64)]
)
"""One word: where it begins in the text, its length in bytes, its group, its number there."""


class Words(NamedTuple):
    """W words of several groups, and a hash table of S slots over them."""

    text: npt.NDArray[np.uint8]  # all words, one after the other, and padding
    words: npt.NDArray[Any]  # WORD[W]
    slots: Ints  # int64[S], S a power of two: a word's index or UNKNOWN


def table(groups: Mapping[int, Sequence[str]]) -> Words:
    """A table of words.

    Args:
        groups: Words of each group, by the group's number. A word's own number
            is its index in its group, the lowest one if it is there twice.

    """
    text = bytearray()
    words = []
    for group, texts in groups.items():
        for number, word in enumerate(texts):
            words.append((len(text), len(word.encode()), group, number))
            text += word.encode()
    found = Words(
        text=np.frombuffer(text + bytes(PADDING), np.uint8),
        words=np.array(words, WORD),
        slots=np.full(1 << (2 * len(words)).bit_length(), UNKNOWN, np.int64),
    )
    fill(found)
    return found


@entry_point
def fill(words: Words) -> None:
    """Put each word into the slots, unless an equal one is there."""
    for i in range(len(words.words)):
        word = words.words[i]
        slot = _slot(words, words.text, word.start, word.length, word.group)
        if words.slots[slot] == UNKNOWN:
            words.slots[slot] = i


@inlined
def look_up(words: Words, data: npt.NDArray[Any], at: int, length: int, group: int) -> int:
    """Number of the word that lies in the data, UNKNOWN if the group does not have it."""
    found = words.slots[_slot(words, data, at, length, group)]
    return UNKNOWN if found == UNKNOWN else words.words[found].number


@compiled
def _slot(words: Words, data: npt.NDArray[Any], at: int, length: int, group: int) -> int:
    """The slot that holds a word, or the free one that it would have."""
    mask = len(words.slots) - 1
    mixed = load_masked(data, at, length) + unsigned(length + (group << 8))
    if length > 8:  # names often begin alike
        mixed ^= load(data, at + length - 8) << unsigned(1)
    mixed = (mixed ^ (mixed >> unsigned(29))) * unsigned(0x9E3779B97F4A7C15)
    slot = signed(mixed >> unsigned(33)) & mask
    while True:
        if words.slots[slot] == UNKNOWN:
            return slot
        word = words.words[words.slots[slot]]
        alike = word.group == group and word.length == length
        if alike and _same(words.text, word.start, data, at, length):
            return slot
        slot = (slot + 1) & mask


@inlined
def _same(text: npt.NDArray[Any], start: int, data: npt.NDArray[Any], at: int, length: int) -> bool:
    while length >= 8:
        if load(text, start) != load(data, at):
            return False
        start += 8
        at += 8
        length -= 8
    return load_masked(text, start, length) == load_masked(data, at, length)
