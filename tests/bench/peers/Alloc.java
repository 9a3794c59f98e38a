/* SPDX-License-Identifier: Apache-2.0 */
/* Alloc on HotSpot: the same objects, sizes, ring, checks and output as tests/bench/alloc.h; keep the two alike.
 * Usage: java Alloc KIND WARM OBJECTS      (the heap's size is given to the virtual machine)
 * Sizes are those with compact headers: 8 bytes an object, 12 an array. Warming up compiles the loops, too. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;

public final class Alloc {
    static final int RING = 4096, SIZES = 16384, ARRAY_HEADER = 12, WARM_PIECES = 16;

    static final class Small {
        Small left, right;
        long number;
    }

    static final class Middle {
        Middle left, right;
        long number, more0, more1, more2, more3, more4;
    }

    static short[] drawSizes() {
        short[] sizes = new short[SIZES];
        long random = 88172645463325252L;
        for (int i = 0; i < SIZES; i++) {
            int granules = 1;
            do {
                granules++;
                random ^= random << 13;
                random ^= random >>> 7;
                random ^= random << 17;
            } while ((random >>> 32) % 9 != 0 && granules < 64);
            sizes[i] = (short) (granules * 8);
        }
        return sizes;
    }

    static void makeSmall(Small[] ring, long count) {
        for (long i = 0; i < count; i++) {
            Small object = new Small();
            object.number = i;
            ring[(int) (i % RING)] = object;
        }
    }

    static void makeMiddle(Middle[] ring, long count) {
        for (long i = 0; i < count; i++) {
            Middle object = new Middle();
            object.number = i;
            ring[(int) (i % RING)] = object;
        }
    }

    static void makeMixed(byte[][] ring, short[] sizes, long count) {
        for (long i = 0; i < count; i++) {
            byte[] object = new byte[sizes[(int) (i % SIZES)] - ARRAY_HEADER];
            object[0] = (byte) i;
            ring[(int) (i % RING)] = object;
        }
    }

    static final Small[] smalls = new Small[RING];
    static final Middle[] middles = new Middle[RING];
    static final byte[][] mixed = new byte[RING][];
    static final short[] sizes = drawSizes();

    static void make(String kind, long count) {
        switch (kind) {
            case "24" -> makeSmall(smalls, count);
            case "64" -> makeMiddle(middles, count);
            default -> makeMixed(mixed, sizes, count);
        }
    }

    static long found(String kind, int slot) {
        return switch (kind) {
            case "24" -> smalls[slot].number;
            case "64" -> middles[slot].number;
            default -> mixed[slot][0];
        };
    }

    /* Of all threads, the collector's too, in nanoseconds; the bean that has it counts in the system's ticks of 10 ms. */
    static long cpuTime() throws Exception {
        long sum = 0;
        try (var threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path thread : threads)
                sum += Long.parseLong(Files.readString(thread.resolve("schedstat")).split(" ")[0]);
        }
        return sum;
    }

    public static void main(String[] args) throws Exception {
        String kind = args[0];
        long warm = Long.parseLong(args[1]), objects = Long.parseLong(args[2]);
        for (int piece = 0; piece < WARM_PIECES; piece++)
            make(kind, warm / WARM_PIECES);
        for (int reading = 0; reading < WARM_PIECES; reading++)
            cpuTime(); /* its classes are loaded */
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        System.out.flush();
        if (in.readLine() == null)
            System.exit(3);
        long cpu = cpuTime(), wall = System.nanoTime();
        make(kind, objects);
        wall = System.nanoTime() - wall;
        cpu = cpuTime() - cpu;
        for (int slot = 0; slot < RING; slot++) {
            long made = objects - RING + slot;
            if (found(kind, slot) != (kind.equals("mixed") ? (byte) made : made)) {
                System.err.println("alloc: an object is not what was written into it");
                System.exit(2);
            }
        }
        System.out.printf("ns_per_object %.6g%ncpu_ns_per_object %.6g%nown_cpu_ns_per_object %.6g%n",
                (double) wall / objects, (double) cpu / objects, (double) cpu / objects);
    }
}
