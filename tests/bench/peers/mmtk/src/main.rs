// SPDX-License-Identifier: Apache-2.0
//! GCBench on MMTk, through a binding as small as one can be.
//! Usage: gcbench_mmtk PLAN HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH [OPTION=VALUE...]     the options are MMTk's own
mod bench;
mod binding;
mod gcbench;
mod heap;
mod object;
mod roots;

use std::sync::atomic::Ordering;

use mmtk::memory_manager::{bind_mutator, initialize_collection, mmtk_init};
use mmtk::plan::BarrierSelector::{NoBarrier, ObjectBarrier};
use mmtk::util::alloc::AllocatorSelector::{BumpPointer, FreeList, Immix};
use mmtk::util::alloc::{BumpAllocator, ImmixAllocator};
use mmtk::util::heap::vm_layout::VMLayout;
use mmtk::util::opaque_pointer::VMThread;
use mmtk::util::Address;
use mmtk::{MMTKBuilder, MMTK};

use binding::{mutator_thread, Vm, COLLECTIONS, INSTANCE, MUTATOR, PAUSE_NS};
use gcbench::Params;
use heap::{node_allocator, Bump, Heap};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.len() < 5 {
        bench::die("usage: gcbench_mmtk PLAN HEAP_MIB STRETCH LONG_LIVED MAX_DEPTH [OPTION=VALUE...]");
    }
    let params = params(&args[2..5]);
    let mmtk = start(&args[0], &args[1], &args[5..]);
    let mutator = Box::leak(bind_mutator(mmtk, mutator_thread()));
    MUTATOR.store(mutator, Ordering::Release);
    let mut heap = Heap::new(mmtk, mutator);
    match (node_allocator(mmtk), mmtk.get_plan().constraints().barrier) {
        (BumpPointer(_), NoBarrier) => gcbench::run::<Bump<BumpAllocator<Vm>, false>>(&mut heap, &params),
        (BumpPointer(_), ObjectBarrier) => gcbench::run::<Bump<BumpAllocator<Vm>, true>>(&mut heap, &params),
        (Immix(_), NoBarrier) => gcbench::run::<Bump<ImmixAllocator<Vm>, false>>(&mut heap, &params),
        (Immix(_), ObjectBarrier) => gcbench::run::<Bump<ImmixAllocator<Vm>, true>>(&mut heap, &params),
        (FreeList(_), NoBarrier) => gcbench::run::<heap::FreeList>(&mut heap, &params),
        _ => bench::die(&format!("{} allocates or wants a barrier in a way that is not written here", args[0])),
    }
    bench::result("collections", COLLECTIONS.load(Ordering::Relaxed) as f64);
    bench::result("total_pause_ns", PAUSE_NS.load(Ordering::Relaxed) as f64);
    std::process::exit(0); // its threads have no other end
}

fn params(args: &[String]) -> Params {
    let depths: Vec<u32> = args.iter().filter_map(|a| a.parse().ok()).filter(|d| (1..=26).contains(d)).collect();
    match depths[..] {
        [stretch, long_lived, max_depth] if max_depth <= stretch => Params { stretch, long_lived, max_depth },
        _ => bench::die("depths are STRETCH LONG_LIVED MAX, 1 to 26"),
    }
}

/// One space a GiB from 1 GiB on, 16 of them: below 32 GiB, where references of four bytes reach, and each contiguous,
/// as in MMTk's own layout for 64 bits.
fn layout() -> VMLayout {
    let gib = |n: usize| unsafe { Address::from_usize(n << 30) };
    VMLayout {
        log_address_space: 35,
        heap_start: gib(1),
        heap_end: gib(17),
        log_space_extent: 30,
        force_use_contiguous_spaces: true,
    }
}

fn start(plan: &str, heap_mib: &str, options: &[String]) -> &'static MMTK<Vm> {
    let mut builder = MMTKBuilder::new_no_env_vars();
    let mut set = |name: &str, value: &str| {
        if !builder.set_option(name, value) {
            bench::die(&format!("MMTk does not take {name}={value}"));
        }
    };
    set("plan", plan);
    set("gc_trigger", &format!("FixedHeapSize:{heap_mib}M"));
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        set(name, value);
    }
    builder.set_vm_layout(layout());
    let mmtk = INSTANCE.get_or_init(|| mmtk_init(&builder));
    initialize_collection(mmtk, VMThread::UNINITIALIZED);
    mmtk
}
