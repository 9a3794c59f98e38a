/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of LEVELS levels on HotSpot, as tests/bench/footprint_mmgc.c makes it, in the same steps.
 * Usage: java Footprint LEVELS      (heap and collector are given to the virtual machine) */
import java.io.BufferedReader;
import java.io.InputStreamReader;

public final class Footprint {
    static final class Node { /* 16 bytes of fields where references have 4 */
        Node left, right;
        long number;
    }

    static final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    static Node kept;

    static void step() throws Exception {
        System.out.println("ready");
        System.out.flush();
        if (in.readLine() == null)
            System.exit(3);
    }

    static Node make(int levels) {
        Node left = levels > 1 ? make(levels - 1) : null;
        Node right = levels > 1 ? make(levels - 1) : null;
        Node n = new Node();
        n.number = levels;
        n.left = left;
        n.right = right;
        return n;
    }

    static long count(Node n) {
        return n == null ? 0 : 1 + count(n.left) + count(n.right);
    }

    static long used() {
        System.gc();
        System.gc();
        Runtime r = Runtime.getRuntime();
        return r.totalMemory() - r.freeMemory();
    }

    public static void main(String[] args) throws Exception {
        int levels = Integer.parseInt(args[0]);
        long nodes = (1L << levels) - 1, before = used();
        step();
        kept = make(levels);
        long after = used();
        step();
        if (count(kept) != nodes) {
            System.err.println("footprint: a collection lost what is still held");
            System.exit(2);
        }
        System.out.printf("objects %d%nused_bytes %d%n", nodes, after - before);
    }
}
