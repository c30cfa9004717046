package io.frauddetection.bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Judges a record and forwards it, otherwise unchanged, to the legit or the fraud topic. */
final class Detector implements Processor<byte[], byte[], byte[], byte[]> {
    static final String LEGIT = "legit";
    static final String FRAUD = "fraud";
    private static final String HEADER = "fraud.decision";

    private final Variant variant;
    private final Decoder decoder;
    private final Transaction transaction = new Transaction();
    private final Totals totals = new Totals();
    private ProcessorContext<byte[], byte[]> context;
    private Windows windows;

    Detector(Variant variant) {
        this.variant = variant;
        this.decoder = variant.decoder();
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
        this.windows = variant.windows(context);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        transaction.clear(record.timestamp());
        decoder.decode(record.value(), transaction);
        totals.clear();
        windows.add(transaction, totals);
        int matches = Rules.matches(transaction, totals);
        if (matches == 0) {
            context.forward(record, LEGIT);
        } else {
            record.headers().add(HEADER, Rules.explanation(matches, totals));
            context.forward(record, FRAUD);
        }
    }
}
