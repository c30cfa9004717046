"""Slots of keys and currencies: a key's first currency uses the slot of the key itself."""

from __future__ import annotations

from services.compiled import Ints, entry_point


@entry_point
def pair(slots: Ints, currencies: Ints, homes: Ints, pairs: Ints, elsewhere: Ints) -> int:
    """Find the slot of each key and currency, where that is the slot of the key.

    Args:
        slots: int64[n], slot of each key; 0 if there is none.
        currencies: int64[n], number of each currency; below 0 if there is none.
        homes: int16 by slot: number of the key's first currency, -1 before there is one;
            updated.
        pairs: int64[n], written: the slot; 0 if key or currency is missing.
        elsewhere: int64[n], written: the rows in another currency than their key's first
            one; their `pairs` are those of the key.

    Returns:
        Number of these rows.

    """
    found = 0
    for row in range(len(slots)):
        slot, currency = slots[row], currencies[row]
        if slot == 0 or currency < 0:
            pairs[row] = 0
            continue
        pairs[row] = slot
        if homes[slot] < 0:
            homes[slot] = currency
        elif homes[slot] != currency:
            elsewhere[found] = row
            found += 1
    return found
