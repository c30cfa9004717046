"""Writes a stream into a topic, at a pace, with transactions of producers that abort in between."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Self

from confluent_kafka import KafkaError, Producer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka import Message

    from tests.support.oracle_stream import Written

SLICE_RECORDS = 50
# Each time so many are written, some more are written and taken back, and some in a transaction.
ABORT_EVERY = 40 * SLICE_RECORDS
CALL_SECONDS = 30.0


class Writer(threading.Thread):
    """A thread that writes records, and ends when all are acknowledged.

    Args:
        bootstrap: the broker's address.
        topic: where to.
        records: what.
        per_second: how many a second; 0 is as fast as it can.

    """

    def __init__(
        self, bootstrap: str, topic: str, records: Iterable[Written], per_second: float = 0
    ) -> None:
        super().__init__(name="writer", daemon=True)
        self.written = 0
        self.sent_at: dict[bytes, float] = {}
        """When each good record was handed to the producer, where there is a pace."""
        self._topic = topic
        self._records = iter(records)
        self._per_second = per_second
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        common = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0}
        self._plain = Producer(common)
        self._transactional = Producer({**common, "transactional.id": f"writer-{topic}"})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.join()

    def finish(self) -> int:
        """Wait until all is written; how many records that were."""
        self.join()
        if self._failure is not None:
            raise self._failure
        return self.written

    def run(self) -> None:
        """Write."""
        try:
            self._transactional.init_transactions(CALL_SECONDS)
            self._write()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._failure = error

    def _write(self) -> None:
        begun = time.monotonic()
        turn = 0
        while some := list(itertools.islice(self._records, SLICE_RECORDS)):
            if self._ending.is_set():
                return
            if self._per_second:
                time.sleep(max(begun + self.written / self._per_second - time.monotonic(), 0))
            turn += SLICE_RECORDS
            if turn % ABORT_EVERY:
                self._produce(self._plain, some)
                self._plain.poll(0)
            else:
                self._in_transactions(some)
            self.written += len(some)
        assert self._plain.flush(CALL_SECONDS) == 0
        assert self._failure is None, self._failure

    def _in_transactions(self, some: list[Written]) -> None:
        """Write records and take them back, then write them for good."""
        self._transactional.begin_transaction()
        self._produce(self._transactional, some)
        assert self._transactional.flush(CALL_SECONDS) == 0
        self._transactional.abort_transaction(CALL_SECONDS)
        self._transactional.begin_transaction()
        self._produce(self._transactional, some)
        self._transactional.commit_transaction(CALL_SECONDS)

    def _produce(self, producer: Producer, some: list[Written]) -> None:
        for partition, key, value, timestamp_ms in some:
            if self._per_second and value:
                self.sent_at[value] = time.time()
            while True:
                try:
                    producer.produce(
                        self._topic,
                        value,
                        key,
                        partition,
                        timestamp=timestamp_ms,
                        on_delivery=self._delivered,
                    )
                except BufferError:
                    producer.poll(0.05)
                else:
                    break

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failure = RuntimeError(f"not written: {error}")
