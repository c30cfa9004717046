package io.frauddetection.bench;

import java.util.Arrays;
import java.util.Currency;

/** ISO 4217 codes as numbers of 15 bits, and amounts in their minor units. */
final class Currencies {
    static final int BITS = 15;
    private static final byte UNKNOWN = -1;
    private static final byte[] DECIMALS = new byte[1 << BITS];
    private static final double[] POWERS = {1, 10, 100, 1_000, 10_000};

    static {
        Arrays.fill(DECIMALS, UNKNOWN);
    }

    static int number(String code) {
        if (code.length() != 3) {
            throw new IllegalArgumentException("not a currency: " + code);
        }
        return (letter(code, 0) * 26 + letter(code, 1)) * 26 + letter(code, 2);
    }

    static long minor(double amount, int currency) {
        byte decimals = DECIMALS[currency];
        if (decimals == UNKNOWN) {
            decimals = DECIMALS[currency] = decimals(currency);
        }
        return Math.round(amount * POWERS[decimals]);
    }

    private static int letter(String code, int at) {
        int letter = code.charAt(at) - 'A';
        if (letter < 0 || letter >= 26) {
            throw new IllegalArgumentException("not a currency: " + code);
        }
        return letter;
    }

    private static byte decimals(int currency) {
        char[] code = {
            (char) ('A' + currency / (26 * 26)),
            (char) ('A' + currency / 26 % 26),
            (char) ('A' + currency % 26),
        };
        return (byte) Currency.getInstance(new String(code)).getDefaultFractionDigits();
    }

    private Currencies() {}
}
