"""Exact sliding windows in event time over one partition, a batch of columns at a time.

Before the stream, `prepare` compiles what it needs. Then, for the payments of a
minute and what they come to in an hour:

    series = Series([Query("count", 60_000), Query("sum", 3_600_000)], late_ms=60_000)
    values, valid = series.process(slots, times_ms, amounts_minor, taken)
    series.evict(stream_time_ms, at_most=len(slots) // 8)

A record is judged against its own window, (T - window, T] of its event time T,
over what came before it in the partition and itself, also when it is late. The
average is the caller's: a sum and a count.
"""

from services.windows.series import Answers, Function, Query, Series, prepare

__all__ = ["Answers", "Function", "Query", "Series", "prepare"]
