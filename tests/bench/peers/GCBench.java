/* SPDX-License-Identifier: Apache-2.0 */
/* GCBench on HotSpot: the same trees, counts, checks and output as tests/bench/gcbench.h; keep the two alike.
 * Usage: java GCBench STRETCH LONG_LIVED MAX_DEPTH      (the heap's size is given to the virtual machine) */
import java.io.BufferedReader;
import java.io.InputStreamReader;

public final class GCBench {
    static final int MIN_DEPTH = 4, ARRAY = 500000;

    static final class Node {
        Node left, right;
        int i, j;
    }

    static long treeSize(int depth) {
        return (1L << (depth + 1)) - 1;
    }

    static void populate(int depth, Node n) {
        if (depth <= 0)
            return;
        n.left = new Node();
        n.right = new Node();
        populate(depth - 1, n.left);
        populate(depth - 1, n.right);
    }

    static Node make(int depth) {
        if (depth <= 0)
            return new Node();
        Node l = make(depth - 1);
        Node r = make(depth - 1);
        Node n = new Node();
        n.left = l;
        n.right = r;
        return n;
    }

    static long count(Node n) {
        return n == null ? 0 : 1 + count(n.left) + count(n.right);
    }

    static Node sink; /* a tree that is never stored anywhere could be optimised away */

    static long buildDepth(int stretch, int depth) {
        long n = 2 * treeSize(stretch) / treeSize(depth);
        for (long k = 0; k < n; k++) {
            Node tree = new Node();
            populate(depth, tree);
            sink = tree;
            sink = null;
        }
        for (long k = 0; k < n; k++) {
            sink = make(depth);
            sink = null;
        }
        return 2 * n * treeSize(depth);
    }

    public static void main(String[] args) throws Exception {
        int stretch = Integer.parseInt(args[0]), longLived = Integer.parseInt(args[1]);
        int maxDepth = Integer.parseInt(args[2]);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        System.out.flush();
        if (in.readLine() == null)
            System.exit(3);
        long begin = System.nanoTime();
        long nodes = treeSize(stretch) + treeSize(longLived);
        sink = make(stretch);
        sink = null;
        Node kept = new Node();
        populate(longLived, kept);
        double[] array = new double[ARRAY];
        for (int i = 1; i < ARRAY / 2; i++)
            array[i] = 1.0 / i;
        for (int depth = MIN_DEPTH; depth <= maxDepth; depth += 2)
            nodes += buildDepth(stretch, depth);
        long end = System.nanoTime(), wall = end - begin;
        if (count(kept) != treeSize(longLived) || array[1000] != 1.0 / 1000) {
            System.err.println("gcbench: a collection lost or damaged what the program still held");
            System.exit(2);
        }
        System.out.printf("ended_ns %d%nwall_ns %d%nnodes %d%nns_per_node %.6g%n", end, wall, nodes, (double) wall / nodes);
    }
}
