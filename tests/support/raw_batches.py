"""Record batches as no client writes them, sent to a real broker as they are.

The format is that of Kafka's protocol (https://kafka.apache.org/protocol, "Record Batch"), the
compressed forms store their data without making it smaller. So a header's name may be any bytes,
and each codec is there without a library.
"""

from __future__ import annotations

import gzip
import itertools
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from kafka.record.util import calc_crc32c

from tests.support.streaming import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tools.local_kafka import Broker

_PRODUCE, _PRODUCE_VERSION = 0, 7  # the newest before flexible versions, the first with zstd
_ALL_REPLICAS = -1
# While a topic that was just created gets its leaders: NOT_LEADER_OR_FOLLOWER, and unknown.
_PASSING = {3, 6}
_SNAPPY_LITERAL, _ZSTD_BLOCK, _LZ4_BLOCK = 1 << 16, 1 << 11, 1 << 16

# A record that is older than its topic's retention is deleted by the broker.
NOW_MS = time.time_ns() // 1_000_000


class Raw(NamedTuple):
    """A record; the names of its headers are bytes."""

    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp_ms: int = NOW_MS


def produce_raw(
    broker: Broker, topic: str, partition: int, records: Sequence[Raw], codec: str = "none"
) -> int:
    """Write records as one batch, compressed with a codec of `CODECS`; returns its first offset."""
    batch = _batch(records, codec)

    def written() -> list[int]:
        error, offset = _ask(broker, topic, partition, batch)
        assert error in {0, *_PASSING}, f"the broker answered with error {error}"
        return [] if error else [offset]

    return until(written, f"{topic} takes a batch")[0]


def _ask(broker: Broker, topic: str, partition: int, batch: bytes) -> tuple[int, int]:
    """Send a Produce request; the error code and the first offset that it is answered with."""
    data = _text(topic) + struct.pack(">iii", 1, partition, len(batch)) + batch
    body = struct.pack(">hhii", -1, _ALL_REPLICAS, 30_000, 1) + data
    header = struct.pack(">hhi", _PRODUCE, _PRODUCE_VERSION, 1) + _text("raw")
    host, port = broker.bootstrap.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(header + body)) + header + body)
        with connection.makefile("rb") as answers:
            (length,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(length)
    # correlation id, topics: name, partitions: number, error, base offset
    error, offset = struct.unpack_from(">hq", answer, 4 + 4 + 2 + len(topic) + 4 + 4)
    return error, offset


def _batch(records: Sequence[Raw], codec: str) -> bytes:
    number, compress = CODECS[codec]
    base = records[0].timestamp_ms
    body = b"".join(_record(i, record, base) for i, record in enumerate(records))
    checked = struct.pack(
        ">hiqqqhii",
        number,
        len(records) - 1,
        base,
        max(record.timestamp_ms for record in records),
        -1,  # no producer id, epoch and sequence
        -1,
        -1,
        len(records),
    ) + compress(body)
    signed = struct.pack(">ibI", -1, 2, calc_crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(signed)) + signed


def _record(i: int, record: Raw, base_ms: int) -> bytes:
    parts = [
        b"\0",
        _varint(record.timestamp_ms - base_ms),
        _varint(i),
        _bytes(record.key),
        _bytes(record.value),
        _varint(len(record.headers)),
        *itertools.chain(*((_bytes(name), _bytes(value)) for name, value in record.headers)),
    ]
    body = b"".join(parts)
    return _varint(len(body)) + body


def _varint(n: int) -> bytes:
    n = (n << 1) ^ (n >> 63)  # zigzag
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _chunks(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def _snappy(data: bytes) -> bytes:
    """Literals only: https://github.com/google/snappy/blob/main/format_description.txt."""
    length = bytearray()
    n = len(data)
    while n > 0x7F:
        length.append(n & 0x7F | 0x80)
        n >>= 7
    length.append(n)
    literals = (
        struct.pack("<BH", 61 << 2, len(chunk) - 1) + chunk
        for chunk in _chunks(data, _SNAPPY_LITERAL)
    )
    return bytes(length) + b"".join(literals)


def _lz4(data: bytes) -> bytes:
    """Stored blocks of 64 KiB; the header's last byte is its checksum."""
    blocks = (
        struct.pack("<I", len(chunk) | 1 << 31) + chunk for chunk in _chunks(data, _LZ4_BLOCK)
    )
    return bytes.fromhex("04224d18604082") + b"".join(blocks) + bytes(4)


def _zstd(data: bytes) -> bytes:
    """A frame that names its length, with a window of 128 KiB (RFC 8878).

    Blocks that repeat one byte are RLE blocks, so that a few KB decompress to any size; the others
    are stored.
    """
    chunks = _chunks(data, _ZSTD_BLOCK)
    blocks = []
    for i, chunk in enumerate(chunks, 1):
        repeated = chunk == chunk[:1] * len(chunk)
        header = len(chunk) << 3 | repeated << 1 | (i == len(chunks))
        blocks.append(struct.pack("<I", header)[:3] + (chunk[:1] if repeated else chunk))
    return bytes.fromhex("28b52ffd8038") + struct.pack("<I", len(data)) + b"".join(blocks)


CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (1, gzip.compress),
    "snappy": (2, _snappy),
    "lz4": (3, _lz4),
    "zstd": (4, _zstd),
}
