package io.frauddetection.bench;

/** Reads a record's JSON. */
interface Decoder {
    void decode(byte[] json, Transaction into);
}
