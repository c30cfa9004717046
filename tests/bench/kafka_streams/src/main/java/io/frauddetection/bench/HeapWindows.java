package io.frauddetection.bench;

import java.util.HashMap;
import java.util.Map;

/** On the heap and nowhere else. */
final class HeapWindows implements Windows {
    private final Map<String, Account> accounts = new HashMap<>(1 << 17);

    @Override
    public void add(Transaction transaction, Totals totals) {
        Account account = accounts.get(transaction.source);
        if (account == null) {
            account = new Account();
            accounts.put(transaction.source, account);
        }
        account.add(transaction);
        account.addUp(transaction, totals);
    }

    /** Entries in order of time, each a time and the money, from first to end. */
    private static final class Account {
        private long[] entries = new long[16];
        private int first;
        private int end;

        void add(Transaction transaction) {
            if (end == entries.length) {
                makeRoom(Totals.keptAfter(entries[end - 2]));
            }
            int at = end;
            for (; at > first && entries[at - 2] > transaction.atMs; at -= 2) {
                entries[at] = entries[at - 2];
                entries[at + 1] = entries[at - 1];
            }
            entries[at] = transaction.atMs;
            entries[at + 1] = Money.of(transaction);
            end += 2;
        }

        void addUp(Transaction transaction, Totals totals) {
            long after = Totals.sumsAfter(transaction.atMs);
            for (int at = end - 2; at >= first && entries[at] > after; at -= 2) {
                if (entries[at] <= transaction.atMs) {
                    totals.take(entries[at], entries[at + 1], transaction);
                }
            }
        }

        private void makeRoom(long keptAfter) {
            while (first < end && entries[first] <= keptAfter) {
                first += 2;
            }
            int kept = end - first;
            long[] room = kept > entries.length / 2 ? new long[entries.length * 2] : entries;
            System.arraycopy(entries, first, room, 0, kept);
            entries = room;
            first = 0;
            end = kept;
        }
    }
}
