package io.frauddetection.bench;

import java.nio.charset.StandardCharsets;

/** The first eight rules that tests/bench/rules.py writes, and two of windows. */
final class Rules {
    private static final int RULES = 10;
    private static final int EUR = Currencies.number("EUR");
    private static final int PAYMENTS = 10;
    /** 45,000.00 in a currency with cents. */
    private static final long PAID_MINOR = 4_500_000;

    /** The rules that match, a bit each: r000 is the lowest. */
    static int matches(Transaction t, Totals totals) {
        return bit(0, t.amount >= 900.0)
                | bit(1, t.amount >= 800.0 && t.currency == EUR)
                | bit(2, t.source.startsWith("0zz"))
                | bit(3, t.source.equals(t.target) && t.amount > 1.0)
                | bit(4, t.country != null && isListed(t.country))
                | bit(5, t.target.endsWith("0zz") && t.amount < 50.0)
                | bit(6, t.amount == 1.25)
                | bit(7, size(t.source) != 12 && t.amount > 1.0)
                | bit(8, totals.payments >= PAYMENTS)
                | bit(9, totals.paidMinor >= PAID_MINOR);
    }

    static byte[] explanation(int matches, Totals totals) {
        StringBuilder json = new StringBuilder(96).append("{\"verdict\":\"fraud\",\"matches\":[");
        String between = "";
        for (int rule = 0; rule < RULES; rule++) {
            if ((matches >> rule & 1) == 1) {
                json.append(between).append("\"r00").append(rule).append('"');
                between = ",";
            }
        }
        json.append("],\"payments\":").append(totals.payments);
        json.append(",\"paid_minor\":").append(totals.paidMinor).append('}');
        return json.toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    private static boolean isListed(String country) {
        return country.equals("EUR") || country.equals("KP") || country.equals("IR");
    }

    /** As CEL counts: code points. */
    private static int size(String text) {
        return text.codePointCount(0, text.length());
    }

    private static int bit(int rule, boolean matches) {
        return matches ? 1 << rule : 0;
    }

    private Rules() {}
}
