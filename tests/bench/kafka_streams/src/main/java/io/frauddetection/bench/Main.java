package io.frauddetection.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Runs one variant, with the settings that every contender gets from its environment. */
public final class Main {
    private static final Duration STOP = Duration.ofSeconds(20);

    public static void main(String[] arguments) throws IOException {
        Variant variant = Variant.named(arguments[0]);
        Map<String, String> environment = System.getenv();
        Path state = Files.createTempDirectory("kafka-streams-");
        Properties config = config(variant, environment, state);
        KafkaStreams streams = new KafkaStreams(topology(variant, environment), config);
        streams.setUncaughtExceptionHandler(Main::end);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(streams, state)));
        streams.start();
    }

    private static Topology topology(Variant variant, Map<String, String> environment) {
        var bytes = new ByteArraySerializer();
        var read = new ByteArrayDeserializer();
        Topology topology = new Topology();
        topology.addSource("transactions", read, read, environment.get("TRANSACTIONS_TOPIC"));
        topology.addProcessor("detector", () -> new Detector(variant), "transactions");
        if (variant.store() != null) {
            topology.addStateStore(variant.store(), "detector");
        }
        topology.addSink(Detector.LEGIT, environment.get("LEGIT_TOPIC"), bytes, bytes, "detector");
        topology.addSink(Detector.FRAUD, environment.get("FRAUD_TOPIC"), bytes, bytes, "detector");
        return topology;
    }

    private static Properties config(Variant variant, Map<String, String> environment, Path state) {
        Properties config = new Properties();
        config.put(StreamsConfig.APPLICATION_ID_CONFIG, environment.get("CONSUMER_GROUP"));
        config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, environment.get("KAFKA_BROKER_URL"));
        config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        config.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        if (variant.isTuned()) {
            tune(config);
        }
        return config;
    }

    /** For throughput; what is not here is as Kafka Streams sets it (linger.ms is 100 then). */
    private static void tune(Properties config) {
        config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        config.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        config.put(StreamsConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        tuneConsumer(config, ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 5_000);
        tuneConsumer(config, ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        tuneConsumer(config, ConsumerConfig.FETCH_MIN_BYTES_CONFIG, 256 << 10);
        tuneConsumer(config, ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 50);
        tuneConsumer(config, ConsumerConfig.RECEIVE_BUFFER_CONFIG, 1 << 20);
        tuneProducer(config, ProducerConfig.BATCH_SIZE_CONFIG, 512 << 10);
        tuneProducer(config, ProducerConfig.BUFFER_MEMORY_CONFIG, 128 << 20);
        tuneProducer(config, ProducerConfig.SEND_BUFFER_CONFIG, 1 << 20);
    }

    private static void tuneConsumer(Properties config, String name, int value) {
        config.put(StreamsConfig.consumerPrefix(name), value);
    }

    private static void tuneProducer(Properties config, String name, int value) {
        config.put(StreamsConfig.producerPrefix(name), value);
    }

    private static StreamThreadExceptionResponse end(Throwable error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
        throw new AssertionError("halted");
    }

    private static void stop(KafkaStreams streams, Path state) {
        streams.close(STOP);
        try (Stream<Path> files = Files.walk(state)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        } catch (IOException error) {
            error.printStackTrace();
        }
    }

    private Main() {}
}
