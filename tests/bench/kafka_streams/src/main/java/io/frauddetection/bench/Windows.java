package io.frauddetection.bench;

/**
 * What each account has paid lately: exact sliding windows in event time, over what came before in
 * the partition. A window of a transaction at t reaches from t - length (not in it) to t (in it).
 */
interface Windows {
    /** Adds a transaction, and adds up its windows. */
    void add(Transaction transaction, Totals totals);
}
