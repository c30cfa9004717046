package io.frauddetection.bench;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * An account's entries as bytes, in order of time: a base time (8 bytes), then for each entry its
 * distance from the base in ms (4) and its money (8).
 */
final class Entries {
    private static final int HEAD = 8;
    private static final int SIZE = 12;
    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT =
            MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    /** The entries and one more, without those that have passed. */
    static byte[] with(byte[] before, Transaction transaction) {
        if (before == null) {
            return single(transaction);
        }
        int from = firstKept(before, transaction.atMs);
        if (from == before.length) {
            return single(transaction);
        }
        int at = place(before, from, transaction.atMs);
        byte[] after = new byte[HEAD + before.length - from + SIZE];
        LONG.set(after, 0, base(before));
        System.arraycopy(before, from, after, HEAD, at - from);
        int inserted = HEAD + at - from;
        System.arraycopy(before, at, after, inserted + SIZE, before.length - at);
        // Fits in 24 days to both sides; an account that never rests gets a new base in time.
        INT.set(after, inserted, Math.toIntExact(transaction.atMs - base(before)));
        LONG.set(after, inserted + 4, Money.of(transaction));
        return isFar(after) ? rebased(after) : after;
    }

    /** Adds up what lies in the windows of a transaction that is among the entries. */
    static void addUp(byte[] entries, Transaction transaction, Totals totals) {
        long base = base(entries);
        long after = Totals.sumsAfter(transaction.atMs);
        for (int at = entries.length - SIZE; at >= HEAD; at -= SIZE) {
            long ms = base + (int) INT.get(entries, at);
            if (ms <= after) {
                return;
            }
            if (ms <= transaction.atMs) {
                totals.take(ms, (long) LONG.get(entries, at + 4), transaction);
            }
        }
    }

    private static byte[] single(Transaction transaction) {
        byte[] entries = new byte[HEAD + SIZE];
        LONG.set(entries, 0, transaction.atMs);
        LONG.set(entries, HEAD + 4, Money.of(transaction));
        return entries;
    }

    private static int firstKept(byte[] entries, long atMs) {
        long newest = Math.max(atMs, time(entries, entries.length - SIZE));
        long keptAfter = Totals.keptAfter(newest);
        int at = HEAD;
        while (at < entries.length && time(entries, at) <= keptAfter) {
            at += SIZE;
        }
        return at;
    }

    /** Where an entry of that time belongs: behind all that are no later. */
    private static int place(byte[] entries, int from, long atMs) {
        int at = entries.length;
        while (at > from && time(entries, at - SIZE) > atMs) {
            at -= SIZE;
        }
        return at;
    }

    private static boolean isFar(byte[] entries) {
        return (int) INT.get(entries, entries.length - SIZE) > Integer.MAX_VALUE / 2;
    }

    private static byte[] rebased(byte[] entries) {
        long old = base(entries);
        long base = time(entries, HEAD);
        LONG.set(entries, 0, base);
        for (int at = HEAD; at < entries.length; at += SIZE) {
            INT.set(entries, at, Math.toIntExact(old + (int) INT.get(entries, at) - base));
        }
        return entries;
    }

    private static long base(byte[] entries) {
        return (long) LONG.get(entries, 0);
    }

    private static long time(byte[] entries, int at) {
        return base(entries) + (int) INT.get(entries, at);
    }

    private Entries() {}
}
