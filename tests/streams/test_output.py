"""What a batch becomes in the outputs: each record once and in order, or the place of a bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Message

from services.settings import KafkaSettings
from services.streams.calls import Calls
from services.streams.output import Output, RecordRejectedError
from services.streams.processing import Batch
from services.streams.stream import Stream
from tests.support.streaming import read_all

if TYPE_CHECKING:
    from services.streams.processing import Headers, Route
    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

RECORDS = 400
TIME_MS = 1_700_000_000_000
ADDED: Headers = [("added", b"1")]


def stream(bootstrap: str, *, exactly_once: bool = True) -> Stream:
    return Stream(
        settings=KafkaSettings(kafka_broker_url=bootstrap),
        topic="input",
        group="output",
        client_id="output",
        exactly_once=exactly_once,
    )


def record(n: int, headers: Headers | None = None, value: bytes | None = None) -> Message:
    return Message(
        topic="input",
        partition=0,
        offset=n,
        key=b"%d" % (n % 10),
        value=value or b"%d" % n,
        headers=headers,
        timestamp=(1, TIME_MS + n),
    )


def headers(n: int) -> Headers | None:
    return [("own", b"%d" % n)] if n % 3 == 0 else None


@pytest.mark.kafka
@pytest.mark.parametrize("watched", [False, True])
def test_a_full_queue_of_the_client_loses_and_moves_no_record(
    broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> None:
    config = Stream.producer_config

    def small(self: Stream) -> dict[str, Any]:
        return {**config(self), "queue.buffering.max.messages": 50}

    monkeypatch.setattr(Stream, "producer_config", small)
    waits: list[None] = []
    calls = Calls(lambda: None)
    output = Output(stream(broker.bootstrap), calls, lambda: waits.append(None), watched=watched)
    own = [headers(n) for n in range(RECORDS)]
    routes: list[Route] = [
        (topics.fraud if n % 2 else topics.legit, ADDED if n % 5 == 0 else None)
        for n in range(RECORDS)
    ]
    output.prepare()
    output.begin()
    batch = Batch.of([record(n, headers(n)) for n in range(RECORDS)])
    output.write(batch, routes, own, {})
    output.commit()
    output.close()
    found = read_all(broker, [topics.legit, topics.fraud])
    by_place = sorted(found, key=lambda m: (m.topic(), m.partition(), m.offset()))
    for partition in {(m.topic(), m.partition()) for m in found}:
        numbers = [
            int(m.value() or b"") for m in by_place if (m.topic(), m.partition()) == partition
        ]
        assert numbers == sorted(numbers)
    written = {
        int(m.value() or b""): (m.topic(), m.key(), m.timestamp()[1], m.headers()) for m in found
    }
    assert len(found) == len(written) == RECORDS
    for n, (topic, added) in enumerate(routes):
        joined = [*(own[n] or []), *(added or [])] or None
        assert written[n] == (topic, b"%d" % (n % 10), TIME_MS + n, joined)
    assert waits  # the queue was full


def test_a_record_that_the_client_cannot_write_is_named() -> None:
    output = Output(stream("localhost:1", exactly_once=False), Calls(lambda: None), lambda: None)
    batch = Batch.of([record(n) for n in range(10)])
    bad: Any = [("name", object())]
    routes: list[Route] = [("legit", bad if n == 7 else None) for n in range(10)]
    with pytest.raises(RecordRejectedError) as caught:
        output.write(batch, routes, [None] * 10, {})
    assert caught.value.place == (0, 7)
    output.close()
