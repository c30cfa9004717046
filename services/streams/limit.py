"""The size of a Kafka transaction: how many records, how many bytes, how long.

One mechanism does two jobs. A transaction that takes too long (a quota, a slow
broker) is followed by smaller ones. A transaction that fails because of one of
its records is tried again with the failures of each record watched, and where
those name several, in halves, until the record is known.
"""

from __future__ import annotations

# A commit costs three requests, however many records it has.
MOST_RECORDS = 10_000
# At 16 MB a transaction takes 1.6 s under a quota of 10 MB/s, and a commit stays cheap beside it.
MOST_BYTES = 16 * 1024 * 1024
# Commit early at a low rate, for latency, and late at a high rate, for throughput.
COMMIT_EARLY_SECONDS = 0.01
COMMIT_LATE_SECONDS = 0.1
# This many records in the early interval are a high rate: 50,000 a second.
MUCH_RECORDS = 500
# Transactions grow again only while a commit takes less, half of the time of one call.
QUICK_COMMIT_SECONDS = 2.5


class TransactionLimit:
    """Largest number of records of a Kafka transaction, adapted to what succeeds."""

    def __init__(self) -> None:
        self.records = MOST_RECORDS
        # Records of a failed transaction that no later one has committed: one of them is rejected.
        self._suspects = 0

    @property
    def searching(self) -> bool:
        """True while a rejected record is searched for among the next ones."""
        return self._suspects > 0

    def left(self, records: int, size_bytes: int, seconds: float) -> float:
        """Seconds until a transaction should be committed, 0 or less once it should.

        Args:
            records: Number of its records.
            size_bytes: Size of its records.
            seconds: Time since its first record.

        """
        if records >= self.records or size_bytes >= MOST_BYTES:
            return 0.0
        much = records >= MUCH_RECORDS
        return (COMMIT_LATE_SECONDS if much else COMMIT_EARLY_SECONDS) - seconds

    def too_slow(self, records: int) -> None:
        """Make transactions smaller after one of so many records took too long."""
        if records:  # a call outside of a transaction has nothing to do with its size
            self.records = max(1, min(records, self.records) // 2)

    def rejected(self, records: int) -> None:
        """Search among the records of a transaction, one of which was rejected."""
        self.records = max(1, records // 2 if self.searching else records)
        self._suspects = max(self._suspects, records)

    def committed(self, records: int, seconds: float) -> None:
        """Grow after a commit.

        Args:
            records: Number of records that were committed.
            seconds: Duration of the commit.

        """
        self._suspects = max(self._suspects - records, 0)
        if seconds < QUICK_COMMIT_SECONDS:
            self.records = min(2 * self.records, MOST_RECORDS)
