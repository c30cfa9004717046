"""`fraud tail`, `fraud round-trip` and the console read whatever is in the topics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from services.cli import main as fraud
from services.cli.tail import DEAD_LETTERS
from tests.support.kafka import make_topics
from tests.support.raw_batches import Raw, produce_raw
from tests.support.streaming import Service, delete_before, until

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kafka import Broker

PAYMENT = b'{"source": "a", "target": "b", "amount": 950.0, "currency": "USD"}'
DECISION = b'{"verdict": "fraud", "score": 100, "matches": [], "ruleset": "0a"}'
# The largest that Kafka takes of what its clients call a timestamp, and what odd clients write.
TIMES = [0, -1, -62_135_596_800_000, 1_767_268_800, 1_767_268_800_000_000, (1 << 63) - 1]
HEADERS: list[list[tuple[bytes, bytes | None]]] = [
    [(b"\xff", b"1")],
    [(b"fraud.decision", DECISION), (b"\xed\xa0\x80", None)],
    [(b"cut\0off", b"1")],
    [(b"fraud.decision", None)],
    [(b"fraud.decision", b"\xff{")],
    [(b"fraud.decision", b"[]")],
    [(b"dead-letter.reason", None), (b"dead-letter.detail", b"\x1b[31m\xff")],
    [(b"", b"")] * 1000,
]
ODD = [
    *(Raw(b"time", PAYMENT, timestamp_ms=ms) for ms in TIMES),
    *(Raw(b"header", PAYMENT, headers) for headers in HEADERS),
    *(Raw(b"\xff", value) for value in (None, b"", b"\xff", b"[" * 100_000, b"1e999", b"NaN")),
    Raw(b"last", PAYMENT, [(b"fraud.decision", DECISION)], 1_767_268_800_000),
]


@pytest.mark.kafka
def test_every_reader_gets_past_any_record(
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    topics = make_topics(
        broker, message_timestamp_after_max_ms=str((1 << 63) - 1), retention_ms="-1"
    )
    environment = topics.environment(broker)
    for topic in topics.outputs:
        for record in ODD:
            produce_raw(broker, topic, 0, [record])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for stream in ("legit", "fraud", DEAD_LETTERS):
        arguments = ["tail", stream, "--from-beginning", "--exit-at-end"]
        assert fraud(arguments) == 0
        assert "\x1b" not in capsys.readouterr().out
        assert fraud([*arguments, "--output", "json"]) == 0
        shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["timestamp"] for one in shown] == [record.timestamp_ms for record in ODD]
        assert all(("deadLetter" in one) == (stream == DEAD_LETTERS) for one in shown)
    # Fewer are left than the console looks back for.
    delete_before(broker, topics.fraud, 0, 1)
    with Service(
        "console", environment | {"DETECTORS": "127.0.0.1:1"}, tmp_path / "log"
    ) as console:

        def seen() -> list[str]:
            return [one["id"] for one in json.loads(console.get("/state")[1])["frauds"]]

        until(lambda: len(seen()) == min(20, len(ODD)), "the console shows the newest")
        assert console.get("/livez") == (200, "ok\n")
        assert console.stop() == 0
