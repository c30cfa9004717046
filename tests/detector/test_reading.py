from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.detector.reading import Reader
from services.detector.stream_time import NEVER, StreamTime
from services.transactions import load_schema
from tests.detector.records import AT_MS, batch, record

LATE_MS, FUTURE_MS = 1000, 5000
SIZE = 4
READER = Reader(load_schema(None), max_future_ms=FUTURE_MS, max_late_ms=LATE_MS, block_records=SIZE)


def stream_times() -> dict[int, StreamTime]:
    return {partition: READER.stream_time(0) for partition in range(3)}


steps = st.tuples(
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, 500, 999, 1000, -1, -999, -1000, -1001, 4000, 5000, 5001]),
    st.booleans(),
)


@given(st.lists(st.lists(steps, max_size=8), max_size=6))
def test_what_is_late_is_decided_by_the_blocks_before_it_in_its_partition(
    batches: list[list[tuple[int, int, bool]]],
) -> None:
    open_blocks: dict[int, dict[int, list[int]]] = {}
    times = stream_times()
    base = 0
    offset = 0
    for part in batches:
        records = []
        for partition, step, good in part:
            base = max(0, min(base + step, FUTURE_MS + 1))
            value: dict[str, Any] = {} if good else {"value": b"{"}
            records.append(record(offset, partition, timestamp=AT_MS + base, **value))
            offset += 1
        made = batch(*records)
        read = READER.read(made, times)
        wanted = {}
        for i, message in enumerate(made.messages):
            partition, time_ms = message.partition() or 0, time_of(message.value())
            if time_ms is None:
                wanted[i] = "malformed_json"
            elif time_ms - AT_MS > FUTURE_MS:
                wanted[i] = "timestamp_in_future"
            else:
                blocks = open_blocks.setdefault(partition, {})
                own = (message.offset() or 0) // SIZE
                before = [
                    sorted(b)[(len(b) - 1) // 2]
                    for n, b in blocks.items()
                    if n < own and len(b) > 2
                ]
                blocks.setdefault(own, []).append(time_ms)
                if time_ms < max(before, default=NEVER) - LATE_MS:
                    wanted[i] = "timestamp_too_late"
        assert {i: str(rejection.reason) for i, rejection in read.rejected.items()} == wanted
        accepted = read.columns.accepted.tolist()
        assert [i for i, taken in enumerate(accepted) if not taken] == sorted(wanted)
        assert len(read.times_ms) == len(made.messages)
        for i in set(range(len(made.messages))) - set(wanted):
            assert read.transaction(i).timestamp == read.times_ms[i]
            assert read.columns.by_path["timestamp"].value(i) == read.times_ms[i] * 1000


def time_of(value: bytes | None) -> int | None:
    text = (value or b"").decode()
    return int(text.rsplit(":", 1)[1].rstrip("}")) if "timestamp" in text else None


def test_out_of_order_is_counted_where_it_is_judged() -> None:
    times = [0, 10, 10, 10, 5, 10, 9, -2000]
    made = batch(*(record(i, timestamp=AT_MS + t) for i, t in enumerate(times)))
    read = READER.read(made, stream_times())
    assert (read.out_of_order, len(read.rejected)) == (2, 1)


def test_a_batch_is_ordered_by_partition_and_keeps_the_order_within() -> None:
    made = batch(record(7, 1), record(3, 0), record(8, 1), record(4, 0), record(9, 2))
    places = [(m.partition(), m.offset()) for m in made.messages]
    assert places == sorted(places)
    assert made.runs == [(0, 0, 2), (1, 2, 4), (2, 4, 5)]


def test_a_missing_timestamp_is_the_records() -> None:
    made = batch(record(0), record(1, timestamp=AT_MS - 500))
    assert READER.read(made, stream_times()).times_ms.tolist() == [AT_MS, AT_MS - 500]


def test_a_missing_id_is_where_the_record_is() -> None:
    made = batch(record(7), record(8, id="own"), record(9, value=b"{"))
    read = READER.read(made, stream_times())
    ids = read.with_names().by_path["id"]
    assert [ids.value(row) for row in range(3)] == ["t-0-7", "own", None]
    assert [read.named(row).id for row in range(2)] == ["t-0-7", "own"]
    assert read.transaction(0).id is None
