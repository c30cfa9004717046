package io.frauddetection.bench;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Where the windows are kept, how JSON is decoded, and whether the settings are tuned. */
enum Variant {
    /** RocksDB with a changelog, Jackson, default settings. */
    AS_IT_COMES,
    /** In memory with a changelog, fastjson2, tuned settings. */
    TUNED,
    /** A HashMap that is lost with the process, fastjson2, tuned settings. */
    HEAP;

    private static final String STORE = "windows";

    static Variant named(String name) {
        return valueOf(name.toUpperCase().replace('-', '_'));
    }

    boolean isTuned() {
        return this != AS_IT_COMES;
    }

    Decoder decoder() {
        return this == AS_IT_COMES ? new JacksonDecoder() : new FastjsonDecoder();
    }

    Windows windows(ProcessorContext<byte[], byte[]> context) {
        return this == HEAP ? new HeapWindows() : new StoreWindows(context.getStateStore(STORE));
    }

    /** The store to add to the topology; null when there is none. Changelogs are the default. */
    StoreBuilder<KeyValueStore<byte[], byte[]>> store() {
        return switch (this) {
            case AS_IT_COMES -> builder(Stores.persistentKeyValueStore(STORE));
            case TUNED -> builder(Stores.inMemoryKeyValueStore(STORE)).withCachingDisabled();
            case HEAP -> null;
        };
    }

    private static StoreBuilder<KeyValueStore<byte[], byte[]>> builder(
            KeyValueBytesStoreSupplier supplier) {
        return Stores.keyValueStoreBuilder(supplier, Serdes.ByteArray(), Serdes.ByteArray());
    }
}
