/* SPDX-License-Identifier: Apache-2.0 */
/* Churn on HotSpot: the same table, sizes, order and stall counting as tests/bench/churn_mmgc.c and stalls.h; keep them alike.
 * Usage: java Churn ENTRIES WARM_MS RUN_MS      (heap and collector are given to the virtual machine)
 * Sizes are those of compact headers: without them an entry is 8 bytes more where references have 8, and values up to 8. */
import java.io.BufferedReader;
import java.io.InputStreamReader;

public final class Churn {
    static final int BATCH = 512, VALUE_KINDS = 15;

    static final class Entry {
        byte[] value;
        long number;
    }

    static Entry[] table;
    static int entries;
    static long random = 88172645463325252L;

    static long nextRandom() {
        random ^= random << 13;
        random ^= random >>> 7;
        random ^= random << 17;
        return random;
    }

    static int slotOf(long random) {
        return (int) (((random >>> 32) * entries) >>> 32);
    }

    /* ---- the work ---- */

    static byte[] newValue(int slot, long random) {
        byte[] value = new byte[4 + 8 * (int) (((random & 255) * VALUE_KINDS) >> 8)];
        value[0] = (byte) slot;
        return value;
    }

    static void replaceEntry(int slot) {
        Entry fresh = new Entry();
        Entry old = table[slot];
        fresh.number = old.number;
        fresh.value = old.value;
        table[slot] = fresh;
    }

    static void replaceValue(int slot, long random) {
        table[slot].value = newValue(slot, random);
    }

    static void operate() {
        replaceEntry(slotOf(nextRandom()));
        long second = nextRandom();
        replaceValue(slotOf(second), second);
    }

    static void build() {
        table = new Entry[entries];
        for (int slot = 0; slot < entries; slot++) {
            Entry entry = new Entry();
            entry.number = slot;
            table[slot] = entry;
            entry.value = newValue(slot, nextRandom());
        }
    }

    static void checkTable() {
        for (int slot = 0; slot < entries; slot++) {
            Entry entry = table[slot];
            if (entry.number != slot || entry.value[0] != (byte) slot)
                throw new IllegalStateException("a collection lost or damaged what the table still held");
        }
    }

    /* ---- stalls.h ---- */

    static final int STEP_BITS = 6, STEPS = 1 << STEP_BITS;
    static final long[] buckets = new long[(65 - STEP_BITS) * STEPS];
    static long last, longest, count;

    static int bucket(long ns) {
        if (ns < STEPS)
            return (int) ns;
        int shift = 63 - Long.numberOfLeadingZeros(ns) - STEP_BITS;
        return (shift << STEP_BITS) + (int) (ns >>> shift);
    }

    static long highest(int bucket) {
        if (bucket < 2 * STEPS)
            return bucket;
        int shift = (bucket >> STEP_BITS) - 1;
        long step = STEPS + (bucket & (STEPS - 1));
        return (step << shift) + ((1L << shift) - 1);
    }

    static void begin() {
        java.util.Arrays.fill(buckets, 0);
        longest = count = 0;
        last = System.nanoTime();
    }

    static void count() {
        long now = System.nanoTime(), took = now - last;
        last = now;
        longest = Math.max(longest, took);
        buckets[bucket(took)]++;
        count++;
    }

    static long exceededBy(long beyond) {
        long seen = 0;
        for (int i = buckets.length - 1; i >= 0; seen += buckets[i--])
            if (seen + buckets[i] > beyond)
                return i == bucket(longest) ? longest : highest(i);
        return 0;
    }

    static void result() {
        String[] names = { "p50", "p99", "p99.9", "p99.99" };
        long[] oneIn = { 2, 100, 1000, 10000 };
        for (int i = 0; i < names.length; i++)
            System.out.printf("stall_%s %d%n", names[i], exceededBy(count / oneIn[i]));
        for (int k = 1; k < 64 && count >> (k - 1) > 0; k++)
            System.out.printf("one_in_%d %d%n", k, exceededBy(count >> k));
        System.out.printf("stall_max %d%n", longest);
    }

    /* ---- the run ---- */

    static void batch() {
        for (int i = 0; i < BATCH; i++) {
            operate();
            count();
        }
    }

    /* What is not counted runs the code that is, so that it is compiled before. */
    static void runFor(long ms) {
        begin();
        long end = last + ms * 1000000;
        while (last < end)
            batch();
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        entries = Integer.parseInt(args[0]);
        build();
        System.out.println("ready");
        System.out.flush();
        if (in.readLine() == null)
            System.exit(3);
        runFor(Long.parseLong(args[1]));
        long start = System.nanoTime();
        runFor(Long.parseLong(args[2]));
        System.out.printf("ops_per_s %.6g%n", count * 1e9 / (last - start));
        System.out.printf("ns_per_op %.6g%n", (double) (last - start) / count);
        result();
        checkTable();
    }
}
