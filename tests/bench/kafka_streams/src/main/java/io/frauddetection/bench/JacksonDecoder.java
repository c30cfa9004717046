package io.frauddetection.bench;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Jackson's data binding, as most applications use it. */
final class JacksonDecoder implements Decoder {
    private final ObjectReader reader =
            new ObjectMapper()
                    .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .readerFor(Fields.class);

    @Override
    public void decode(byte[] json, Transaction into) {
        Fields fields = read(json);
        into.source = fields.source;
        into.target = fields.target;
        into.country = fields.country;
        into.amount = fields.amount;
        into.currency = Currencies.number(fields.currency);
        if (fields.timestamp != null) {
            into.atMs = fields.timestamp;
        }
    }

    private Fields read(byte[] json) {
        try {
            return reader.readValue(json);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private record Fields(
            String source,
            String target,
            double amount,
            String currency,
            Long timestamp,
            String country) {}
}
