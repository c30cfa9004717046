package io.frauddetection.bench;

/** What the two windows hold for one transaction, itself included. */
final class Totals {
    private static final long COUNT_MS = 60_000;
    private static final long SUM_MS = 3_600_000;
    private static final long LATENESS_MS = 60_000;

    int payments;
    long paidMinor;

    void clear() {
        payments = 0;
        paidMinor = 0;
    }

    /** Before this time nothing counts for a transaction at the given time. */
    static long sumsAfter(long atMs) {
        return atMs - SUM_MS;
    }

    /** Up to this time nothing is kept, as even a late transaction does not need it. */
    static long keptAfter(long newestMs) {
        return newestMs - SUM_MS - LATENESS_MS;
    }

    /** Takes in an entry of the account, no later than the transaction and within its hour. */
    void take(long entryMs, long entryMoney, Transaction transaction) {
        if (entryMs > transaction.atMs - COUNT_MS) {
            payments++;
        }
        if (Money.currency(entryMoney) == transaction.currency) {
            paidMinor += Money.minor(entryMoney);
        }
    }
}
