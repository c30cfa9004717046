"""Exact sliding windows in event time over one partition, a batch of columns at a time.

Call `prepare` before the stream begins: it compiles the code. Then, for the number of
payments within a minute and their total within an hour:

    series = Series([Query("count", 60_000), Query("sum", 3_600_000)], late_ms=60_000)
    values, valid = series.process(slots, times_ms, amounts_minor, taken)
    series.evict(stream_time_ms, at_most=len(slots) // 8)

The caller decides what may be freed: `evict` frees entries that are a window and the
lateness before the stream time that it is called with, and no others.

A record is judged over its own window, (T - window, T] of its event time T, over itself
and the records before it in the partition, even if it is late. For an average, the
caller queries a sum and a count.
"""

from services.windows.series import Answers, Function, Query, Series, prepare

__all__ = ["Answers", "Function", "Query", "Series", "prepare"]
