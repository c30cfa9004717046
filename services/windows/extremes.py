"""The smallest and the largest value between any two entries of a ring, in O(log n).

Each block of sixteen entries has its extreme in a leaf of a tree over the ring, once the
block is full. A range consists of the few entries outside whole blocks and O(log n)
nodes. So late entries and windows of any length are handled in the same way, and a tree
costs one byte an entry. The largest value is the smallest of the complements: `flip` is
0 for the smallest value and -1 (all bits) for the largest.

A node over blocks that are not full yet, or are overwritten, has an undefined value. It
is never read, because a range only reads nodes all of whose blocks are inside it.
"""

from __future__ import annotations

from services.compiled import Ints, compiled, signed
from services.windows.store import BLOCK, Row, Store, prefix

NOTHING = (1 << 63) - 1
SMALLEST, LARGEST = 0, -1


@compiled
def seal(store: Store, row: Row, low: int, high: int) -> None:
    """Store the extremes of the full blocks that contain some of entries [low, high)."""
    whole = (row.first + BLOCK - 1) // BLOCK
    for block in range(max(low // BLOCK, whole), high // BLOCK):
        if len(store.minima) > 0:
            _seal_block(store, row, store.minima, block, SMALLEST)
        if len(store.maxima) > 0:
            _seal_block(store, row, store.maxima, block, LARGEST)


@compiled
def _seal_block(store: Store, row: Row, tree: Ints, block: int, flip: int) -> None:
    leaves = row.capacity // BLOCK
    root = row.base // 8
    node = leaves + _leaf(row, block)
    tree[root + node] = _scan(store, row, block * BLOCK, block * BLOCK + BLOCK, flip)
    node >>= 1
    while node > 0:
        tree[root + node] = min(tree[root + 2 * node], tree[root + 2 * node + 1])
        node >>= 1


@compiled
def _leaf(row: Row, block: int) -> int:
    leaf = block - row.origin // BLOCK
    return leaf if leaf < row.capacity // BLOCK else leaf - row.capacity // BLOCK


@compiled
def extreme(store: Store, row: Row, low: int, high: int, flip: int) -> int:
    """Return the smallest or largest value of entries [low, high), which must not be empty."""
    left, right = (low + BLOCK - 1) // BLOCK, high // BLOCK
    if left >= right:
        return _scan(store, row, low, high, flip) ^ flip
    best = min(
        _scan(store, row, low, left * BLOCK, flip), _scan(store, row, right * BLOCK, high, flip)
    )
    leaves = row.capacity // BLOCK
    tree = store.minima if flip == SMALLEST else store.maxima
    begin = _leaf(row, left)
    stop = begin + right - left
    best = min(best, _climb(tree, row.base // 8, leaves + begin, leaves + min(stop, leaves)))
    if stop > leaves:  # around the end of the ring
        best = min(best, _climb(tree, row.base // 8, leaves, stop))
    return best ^ flip


@compiled
def _scan(store: Store, row: Row, low: int, high: int, flip: int) -> int:
    best = NOTHING
    if low < high:
        after = prefix(store, row, high)
        for i in range(high - 1, low - 1, -1):
            before = prefix(store, row, i)
            best = min(best, signed(after - before) ^ flip)
            after = before
    return best


@compiled
def _climb(tree: Ints, root: int, left: int, right: int) -> int:
    """Return the smallest of nodes [left, right) of one level, by way of their parents."""
    best = NOTHING
    while left < right:
        if left & 1:
            best = min(best, tree[root + left])
            left += 1
        if right & 1:
            right -= 1
            best = min(best, tree[root + right])
        left >>= 1
        right >>= 1
    return best
