package io.frauddetection.bench;

/** The fields that the rules need. One object, filled again for each record. */
final class Transaction {
    String source;
    String target;
    String country;
    double amount;
    long atMs;
    /** The currency's code as a number, see {@link Currencies}. */
    int currency;

    /** Forgets the last record; the event time is the record's unless the JSON tells another. */
    void clear(long recordTimestampMs) {
        source = target = country = null;
        amount = Double.NaN;
        atMs = recordTimestampMs;
        currency = 0;
    }

    long amountMinor() {
        return Currencies.minor(amount, currency);
    }
}
