package io.frauddetection.bench;

import com.alibaba.fastjson2.JSONFactory;
import com.alibaba.fastjson2.JSONReader;
import com.alibaba.fastjson2.util.Fnv;
import java.nio.charset.StandardCharsets;

/** fastjson2, field by field; what no rule needs is skipped. */
final class FastjsonDecoder implements Decoder {
    private static final long SOURCE = Fnv.hashCode64("source");
    private static final long TARGET = Fnv.hashCode64("target");
    private static final long AMOUNT = Fnv.hashCode64("amount");
    private static final long CURRENCY = Fnv.hashCode64("currency");
    private static final long TIMESTAMP = Fnv.hashCode64("timestamp");
    private static final long COUNTRY = Fnv.hashCode64("country");

    private final JSONReader.Context context = JSONFactory.createReadContext();

    @Override
    public void decode(byte[] json, Transaction into) {
        try (JSONReader reader =
                JSONReader.of(json, 0, json.length, StandardCharsets.UTF_8, context)) {
            if (!reader.nextIfObjectStart()) {
                throw new IllegalArgumentException("not an object");
            }
            while (!reader.nextIfObjectEnd()) {
                read(reader, reader.readFieldNameHashCode(), into);
            }
        }
    }

    private static void read(JSONReader reader, long field, Transaction into) {
        if (field == SOURCE) {
            into.source = reader.readString();
        } else if (field == TARGET) {
            into.target = reader.readString();
        } else if (field == AMOUNT) {
            into.amount = reader.readDoubleValue();
        } else if (field == CURRENCY) {
            into.currency = Currencies.number(reader.readString());
        } else if (field == TIMESTAMP) {
            into.atMs = reader.readInt64Value();
        } else if (field == COUNTRY) {
            into.country = reader.readString();
        } else {
            reader.skipValue();
        }
    }
}
