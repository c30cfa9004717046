package io.frauddetection.bench;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.streams.state.KeyValueStore;

/** In a store of Kafka Streams: one value an account, see {@link Entries}. */
final class StoreWindows implements Windows {
    private final KeyValueStore<byte[], byte[]> store;

    StoreWindows(KeyValueStore<byte[], byte[]> store) {
        this.store = store;
    }

    @Override
    public void add(Transaction transaction, Totals totals) {
        byte[] account = transaction.source.getBytes(StandardCharsets.UTF_8);
        byte[] entries = Entries.with(store.get(account), transaction);
        Entries.addUp(entries, transaction, totals);
        store.put(account, entries);
    }
}
