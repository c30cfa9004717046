from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.detector.reading import Reader
from services.transactions import load_schema
from tests.detector.records import AT_MS, batch, record

LATE_MS, FUTURE_MS = 1000, 5000
READER = Reader(load_schema(None), max_future_ms=FUTURE_MS, max_late_ms=LATE_MS)

steps = st.tuples(
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, 500, 999, 1000, -1, -999, -1000, -1001, 4000, 5000, 5001]),
    st.booleans(),
)


@given(st.lists(st.lists(steps, max_size=8), max_size=6))
def test_what_is_late_is_told_by_the_transactions_before_it_in_its_partition(
    batches: list[list[tuple[int, int, bool]]],
) -> None:
    latest: dict[int, int] = {}
    stream_times: dict[int, int] = {}
    base = 0
    offset = 0
    for part in batches:
        records = []
        for partition, step, good in part:
            base = max(0, min(base + step, FUTURE_MS + 1))
            value = {} if good else {"value": b"{"}
            records.append(record(offset, partition, timestamp=AT_MS + base, **value))
            offset += 1
        made = batch(*records)
        read = READER.read(made, stream_times)
        wanted = {}
        for i, message in enumerate(made.messages):
            partition, time_ms = message.partition() or 0, time_of(message.value())
            if time_ms is None:
                wanted[i] = "malformed_json"
            elif time_ms - AT_MS > FUTURE_MS:
                wanted[i] = "timestamp_in_future"
            elif time_ms < latest.get(partition, time_ms) - LATE_MS:
                wanted[i] = "timestamp_too_late"
            else:
                latest[partition] = max(latest.get(partition, time_ms), time_ms)
        assert {i: str(refusal.reason) for i, refusal in read.refused.items()} == wanted
        assert len(read.transactions) == len(read.times_ms) == len(made.messages) - len(wanted)
        assert [t.timestamp for t in read.transactions] == read.times_ms.tolist()
        assert [m.offset() for m in read.messages(made)] == [
            m.offset() for i, m in enumerate(made.messages) if i not in wanted
        ]
        by_run = [partition for partition, begin, end in read.runs for _ in range(begin, end)]
        assert by_run == [m.partition() for m in read.messages(made)]
    assert {p: at for p, at in stream_times.items() if p in latest} == latest


def time_of(value: bytes | None) -> int | None:
    text = (value or b"").decode()
    return int(text.rsplit(":", 1)[1].rstrip("}")) if "timestamp" in text else None


def test_out_of_order_is_counted_where_it_is_judged() -> None:
    times = [0, 10, 5, 10, 9, -2000]
    made = batch(*(record(i, timestamp=AT_MS + t) for i, t in enumerate(times)))
    read = READER.read(made, {})
    assert (read.out_of_order, len(read.refused)) == (2, 1)


def test_a_batch_is_ordered_by_partition_and_keeps_the_order_within() -> None:
    made = batch(record(7, 1), record(3, 0), record(8, 1), record(4, 0), record(9, 2))
    places = [(m.partition(), m.offset()) for m in made.messages]
    assert places == sorted(places)
    assert made.runs == [(0, 0, 2), (1, 2, 4), (2, 4, 5)]


def test_a_missing_timestamp_is_the_records() -> None:
    made = batch(record(0), record(1, timestamp=AT_MS - 500))
    assert READER.read(made, {}).times_ms.tolist() == [AT_MS, AT_MS - 500]
