"""The checker: every input record has exactly one verdict, unchanged and in order, or it says.

It knows nothing of the detector, only what the topics say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message


def problems(inputs: Iterable[Message], outputs: Iterable[Message]) -> list[str]:
    """Say what is wrong; nothing when all is well. Input values have to be unique."""
    order = {_identity(message): i for i, message in enumerate(_in_log_order(inputs))}
    seen = Counter(_identity(message) for message in outputs)
    found = []
    if lost := sum(identity not in seen for identity in order):
        found.append(f"{lost} records have no verdict")
    if twice := sum(n > 1 for n in seen.values()):
        found.append(f"{twice} records have more than one verdict")
    if strange := sum(identity not in order for identity in seen):
        found.append(f"{strange} verdicts are on no record of the input, or changed it")
    sequences: dict[tuple[str | None, object], list[int]] = defaultdict(list)
    for message in _in_log_order(outputs):
        if message.key() is not None:
            position = order.get(_identity(message), -1)
            sequences[message.topic(), message.key()].append(position)
    if torn := sum(sequence != sorted(sequence) for sequence in sequences.values()):
        found.append(f"{torn} keys are out of order")
    return found


def _in_log_order(messages: Iterable[Message]) -> list[Message]:
    return sorted(messages, key=lambda m: (m.topic(), m.partition(), m.offset()))


def _identity(message: Message) -> tuple[object, ...]:
    """What has to come out as it went in. Headers of ours are added at the end."""
    headers: list[tuple[str, bytes]] = message.headers() or []  # type: ignore[assignment]
    kept = tuple(h for h in headers if not h[0].startswith(("fraud.", "dead-letter.")))
    return message.key(), message.value(), message.timestamp()[1], kept
