"""The exactly-once loop: consume, judge, produce, and commit all of it as one Kafka transaction.

There is one way to recover, the same as after a restart with `kill -9`: a new producer of
the same identity calls `init_transactions`, which settles the transaction that the old
producer left open, and reading resumes at the committed offsets. (librdkafka has no
KIP-890; after an ambiguous commit only a new producer with the same transactional.id
is safe.) If only the transaction failed (an abort, a commit overtaken by a rebalance,
lost partitions, a record that an output topic rejects), the consumer stays in its group
and seeks back. If the consumer failed or a call did not return, the `Session` ends and
`run` begins another.

Rebalances are not errors: partitions that are revoked are committed first.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from traceback import clear_frames
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaException

from services.streams.calls import CallOverdueError, Calls
from services.streams.identity import TopicRecreatedError
from services.streams.input import words
from services.streams.limit import TransactionLimit
from services.streams.session import PAUSE_SECONDS, Session
from services.streams.stream import raise_if_final
from services.streams.undeliverable import Undeliverables

if TYPE_CHECKING:
    import threading

    from services.streams.commits import Commits
    from services.streams.processing import Health, Processor
    from services.streams.stream import Stream

log = structlog.get_logger()


def run(
    stream: Stream,
    processor: Processor,
    stop: threading.Event,
    health: Health,
    commits: Commits,
) -> None:
    """Run sessions until `stop` is set.

    Args:
        stream: Topics and group of the stream, and its delivery guarantee.
        processor: Decides the output topic of each record.
        stop: Event that ends the loop.
        health: Notified that the loop moves.
        commits: Stores the offsets that were committed.

    Raises:
        StreamError: A new session would fail as well: another process has this instance id,
            the client reports a fatal error, or too many of its calls did not
            return.

    """
    calls, memory = Calls(health.tick), Memory(commits)
    while not stop.is_set():
        session = Session(stream, processor, health, calls, memory)
        try:
            session.run(stop)
        except (KafkaException, CallOverdueError, TopicRecreatedError) as error:
            reason = str(error)
            if isinstance(error, KafkaException):
                raise_if_final(error.args[0], stream)
                reason = words(error.args[0])
                stop.wait(PAUSE_SECONDS)
            elif isinstance(error, CallOverdueError):
                # The broker may delay its answers on purpose, as it does to enforce a quota.
                memory.limit.too_slow(session.pending)
            log.warning("session ended", reason=reason, uncommitted=session.pending)
            # An error that was raised again holds itself by its frames, and they hold the clients.
            clear_frames(error.__traceback__)
        finally:
            session.close()
            _return_memory()


def _return_memory() -> None:
    """Return freed memory to the system, which glibc does not do by itself.

    Each session has new clients with many threads, and windows that are built again. After a
    dozen restarts of a broker, 120 of a detector's 480 MB were free memory in between.
    """
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class Memory:
    """State that a session hands to the next one."""

    def __init__(self, commits: Commits) -> None:
        self.limit = TransactionLimit()
        self.undeliverable = Undeliverables()
        self.commits = commits
