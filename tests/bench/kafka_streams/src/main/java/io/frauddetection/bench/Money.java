package io.frauddetection.bench;

/** An amount in minor units and its currency in one long. */
final class Money {
    private static final long CURRENCY = (1 << Currencies.BITS) - 1;

    static long of(Transaction transaction) {
        return transaction.amountMinor() << Currencies.BITS | transaction.currency;
    }

    static int currency(long money) {
        return (int) (money & CURRENCY);
    }

    static long minor(long money) {
        return money >> Currencies.BITS;
    }

    private Money() {}
}
