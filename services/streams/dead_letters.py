"""Dead letters: the original record, with headers that say why and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Message

    from services.streams.processing import Headers
    from services.transactions import Refusal


def dead_letter_headers(refusal: Refusal, message: Message) -> Headers:
    """Build the headers that a dead letter gains.

    Returns:
        `dead-letter.reason` (a stable code), `.detail` (for people), `.topic`,
        `.partition` and `.offset` (of the record it was), all as UTF-8 text.

    """
    origin = {
        "reason": refusal.reason,
        "detail": refusal.detail,
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
    }
    return [(f"dead-letter.{name}", str(value).encode()) for name, value in origin.items()]
