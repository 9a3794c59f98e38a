/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs to be traced, on HotSpot: the same as in tests/bench/trace_mmgc.c; keep the two alike.
 * Usage: java Trace tree|table|list|array SIZE COLLECTIONS      (how long each took: see the virtual machine's log) */
import java.io.BufferedReader;
import java.io.InputStreamReader;

public final class Trace {
    static final int ARRAY_STEP = 64, ARRAY_TARGETS = 1000;

    static final class Node { /* 24 bytes with a compact header, like all here but a link */
        Node left, right;
        long value;
    }

    static final class Entry {
        Entry next;
        Pair value;
        int hash;
    }

    static final class Pair {
        long key, value;
    }

    static final class Link { /* 16 bytes */
        Link next;
        int value;
    }

    static Object root;
    static long visits;
    static long seed = 88172645463325252L;

    static Node newTree(int depth) {
        Node n = new Node();
        if (depth > 1) {
            n.left = newTree(depth - 1);
            n.right = newTree(depth - 1);
        }
        return n;
    }

    static int randomBelow(int bound) {
        seed ^= seed << 13;
        seed ^= seed >>> 7;
        seed ^= seed << 17;
        return (int) ((seed >>> 33) % bound);
    }

    static Object newTable(int size) {
        Entry[] slots = new Entry[size];
        for (int i = 0; i < size; i++) {
            slots[i] = new Entry();
            slots[i].hash = i;
            slots[i].value = new Pair();
        }
        for (int i = size - 1; i > 0; i--) {
            int j = randomBelow(i + 1);
            Entry kept = slots[i];
            slots[i] = slots[j];
            slots[j] = kept;
        }
        for (int i = size - 1; i > 0; i--) {
            int j = randomBelow(i + 1);
            Pair kept = slots[i].value;
            slots[i].value = slots[j].value;
            slots[j].value = kept;
        }
        return slots;
    }

    static Object newList(int size) {
        Link head = new Link(), last = head;
        for (int i = 1; i < size; i++) {
            Link next = new Link();
            next.value = i;
            last.next = next;
            last = next;
        }
        return head;
    }

    static Object newArray(int size) {
        Object[] refs = new Object[size];
        for (int i = 0; i < size; i += ARRAY_STEP) {
            int k = i / ARRAY_STEP;
            refs[i] = k < ARRAY_TARGETS ? new Pair() : refs[k % ARRAY_TARGETS * ARRAY_STEP];
        }
        return refs;
    }

    static void build(String graph, int size) {
        visits = size;
        switch (graph) {
        case "tree":
            root = newTree(size);
            visits = (1L << size) - 1;
            break;
        case "table":
            root = newTable(size);
            visits = 2L * size + 1;
            break;
        case "list":
            root = newList(size);
            break;
        case "array":
            root = newArray(size);
            break;
        default:
            throw new IllegalArgumentException(graph);
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        build(args[0], Integer.parseInt(args[1]));
        System.out.println("ready");
        System.out.flush();
        if (in.readLine() == null)
            System.exit(3);
        for (int i = Integer.parseInt(args[2]); i > 0; i--)
            System.gc();
        System.out.printf("visits %d%n", visits);
        if (root == null)
            System.exit(2);
    }
}
