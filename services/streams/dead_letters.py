"""Dead letters: the original record, with headers for the reason and the origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka import Message

    from services.streams.processing import Headers
    from services.transactions import Rejection


def dead_letter_headers(rejection: Rejection, message: Message) -> Headers:
    """Build the headers that a dead letter gains.

    Returns:
        `dead-letter.reason` (a stable code), `.detail` (text for people), `.topic`,
        `.partition` and `.offset` (of the original record), all as UTF-8 text.

    """
    origin = {
        "reason": rejection.reason,
        "detail": rejection.detail,
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
    }
    return [(f"dead-letter.{name}", str(value).encode()) for name, value in origin.items()]
