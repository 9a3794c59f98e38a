// SPDX-License-Identifier: Apache-2.0
//! GCBench, line by line what gcbench.h does: see there. What is held across an allocation lies in the shadow stack.
use crate::bench::{self, Clock};
use crate::heap::{Heap, Kind};
use crate::object::{Field, Ref};
use crate::roots::Top;

const MIN_DEPTH: u32 = 4;
const ARRAY: usize = 500_000;

pub struct Params {
    pub stretch: u32,
    pub long_lived: u32,
    pub max_depth: u32,
}

fn tree_size(depth: u32) -> u64 {
    (1 << (depth + 1)) - 1
}

fn iterations(p: &Params, depth: u32) -> u64 {
    2 * tree_size(p.stretch) / tree_size(depth)
}

/// Top down: a node is old by the time its children are stored into it. @n lies in the slot below @top.
fn populate<K: Kind>(heap: &mut Heap, top: Top, depth: u32, n: Ref) {
    if depth == 0 {
        return;
    }
    top.put(0, n);
    let left = heap.node::<K>(top.above(1));
    heap.set::<K>(top.get(0), Field::Left, left);
    let right = heap.node::<K>(top.above(1));
    heap.set::<K>(top.get(0), Field::Right, right);
    populate::<K>(heap, top.above(1), depth - 1, top.get(0).get(Field::Left));
    populate::<K>(heap, top.above(1), depth - 1, top.get(0).get(Field::Right));
}

/// Bottom up: children wait in slots while their siblings are made.
fn make<K: Kind>(heap: &mut Heap, top: Top, depth: u32) -> Ref {
    if depth == 0 {
        return heap.node::<K>(top);
    }
    top.put(0, make::<K>(heap, top, depth - 1));
    top.put(1, make::<K>(heap, top.above(1), depth - 1));
    let n = heap.node::<K>(top.above(2));
    heap.init(n, Field::Left, top.get(0));
    heap.init(n, Field::Right, top.get(1));
    n
}

fn count(n: Ref) -> u64 {
    if n.is_null() {
        return 0;
    }
    1 + count(n.get(Field::Left)) + count(n.get(Field::Right))
}

fn build_depth<K: Kind>(heap: &mut Heap, top: Top, p: &Params, depth: u32) -> u64 {
    let n = iterations(p, depth);
    for _ in 0..n {
        let tree = heap.node::<K>(top);
        populate::<K>(heap, top, depth, tree);
    }
    for _ in 0..n {
        std::hint::black_box(make::<K>(heap, top, depth));
    }
    2 * n * tree_size(depth)
}

/// Runs once after the starting gun, checks that what was kept is whole, prints the figures.
pub fn run<K: Kind>(heap: &mut Heap, p: &Params) {
    let bottom = Top::bottom();
    if K::BARRIER {
        let any = heap.node::<K>(bottom);
        heap.check_barrier(any);
    }
    bench::ready();
    let begin = [Clock::Wall, Clock::Process, Clock::Thread].map(|c| (c, bench::now_ns(c)));
    let mut nodes = tree_size(p.stretch) + tree_size(p.long_lived);
    std::hint::black_box(make::<K>(heap, bottom, p.stretch));
    let top = bottom.above(2); // the two that live to the end: the tree and the array
    bottom.put(1, Ref::NULL);
    bottom.put(0, heap.node::<K>(bottom));
    populate::<K>(heap, top, p.long_lived, bottom.get(0));
    bottom.put(1, heap.array(top, ARRAY));
    let array = bottom.get(1).doubles(); // too large to be moved
    for i in 1..ARRAY / 2 {
        unsafe { array.add(i).write(1.0 / i as f64) };
    }
    for depth in (MIN_DEPTH..=p.max_depth).step_by(2) {
        nodes += build_depth::<K>(heap, top, p, depth);
    }
    let [wall_ns, cpu_ns, thread_ns] = begin.map(|(c, ns)| (bench::now_ns(c) - ns) as f64);
    if count(bottom.get(0)) != tree_size(p.long_lived) || unsafe { array.add(1000).read() } != 1.0 / 1000.0 {
        bench::die("a collection lost or damaged what the program still held");
    }
    bench::result("wall_ns", wall_ns);
    bench::result("nodes", nodes as f64);
    bench::result("ns_per_node", wall_ns / nodes as f64);
    bench::result("cpu_ns_per_node", cpu_ns / nodes as f64);
    bench::result("mutator_cpu_ns_per_node", thread_ns / nodes as f64);
}
