// SPDX-License-Identifier: Apache-2.0
//! What MMTk asks of a virtual machine, for a program of one thread.
//!
//! The world stops by itself: the one thread that can ask for a collection waits in block_for_gc() until the pause ends.
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};

use mmtk::util::alloc::AllocationError;
use mmtk::util::opaque_pointer::{OpaquePointer, VMMutatorThread, VMThread, VMWorkerThread};
use mmtk::util::{Address, ObjectReference};
use mmtk::vm::slot::UnimplementedMemorySlice;
use mmtk::vm::{ActivePlan, Collection, GCThreadContext, ReferenceGlue, RootsWorkFactory, Scanning, SlotVisitor, VMBinding};
use mmtk::{Mutator, MMTK};

use crate::bench;
use crate::object::{self, CompressedSlot};
use crate::roots;

#[derive(Default)]
pub struct Vm;

pub static INSTANCE: OnceLock<Box<MMTK<Vm>>> = OnceLock::new();
pub static COLLECTIONS: AtomicU64 = AtomicU64::new(0);
pub static PAUSE_NS: AtomicU64 = AtomicU64::new(0);

/// The one mutator, from bind_mutator() on.
pub static MUTATOR: AtomicPtr<Mutator<Vm>> = AtomicPtr::new(std::ptr::null_mut());

/// The program's thread, as MMTk names it; its own threads are UNINITIALIZED.
pub fn mutator_thread() -> VMMutatorThread {
    VMMutatorThread(VMThread(OpaquePointer::from_address(Address::from_ref(&MUTATOR))))
}

static WAITING: AtomicBool = AtomicBool::new(false); // the program stands in block_for_gc()
static PAUSE: Mutex<Pause> = Mutex::new(Pause { ended: 0, waits_since: 0 });
static CHANGED: Condvar = Condvar::new();

struct Pause {
    ended: u64,
    waits_since: u64,
}

fn mutator() -> &'static mut Mutator<Vm> {
    // SAFETY: it is leaked, and MMTk asks for it only while the program itself waits.
    unsafe { &mut *MUTATOR.load(Ordering::Acquire) }
}

impl VMBinding for Vm {
    type VMObjectModel = Vm;
    type VMScanning = Vm;
    type VMCollection = Vm;
    type VMActivePlan = Vm;
    type VMReferenceGlue = Vm;
    type VMSlot = CompressedSlot;
    type VMMemorySlice = UnimplementedMemorySlice<CompressedSlot>;

    const MIN_ALIGNMENT: usize = object::ALIGN;
    const MAX_ALIGNMENT: usize = object::ALIGN;
    const USE_ALLOCATION_OFFSET: bool = false;
}

impl Collection<Vm> for Vm {
    fn stop_all_mutators<F: FnMut(&'static mut Mutator<Vm>)>(_tls: VMWorkerThread, mut visit: F) {
        let mut pause = PAUSE.lock().unwrap();
        while !WAITING.load(Ordering::Acquire) {
            pause = CHANGED.wait(pause).unwrap();
        }
        drop(pause);
        visit(mutator());
    }

    fn resume_mutators(_tls: VMWorkerThread) {
        let mut pause = PAUSE.lock().unwrap();
        pause.ended += 1;
        WAITING.store(false, Ordering::Release);
        PAUSE_NS.fetch_add(bench::now_ns(bench::Clock::Wall) - pause.waits_since, Ordering::Relaxed);
        COLLECTIONS.fetch_add(1, Ordering::Relaxed);
        CHANGED.notify_all();
    }

    fn block_for_gc(_tls: VMMutatorThread) {
        let mut pause = PAUSE.lock().unwrap();
        let before = pause.ended;
        pause.waits_since = bench::now_ns(bench::Clock::Wall);
        WAITING.store(true, Ordering::Release);
        CHANGED.notify_all();
        while pause.ended == before {
            pause = CHANGED.wait(pause).unwrap();
        }
    }

    fn spawn_gc_thread(_tls: VMThread, context: GCThreadContext<Vm>) {
        let GCThreadContext::Worker(worker) = context;
        std::thread::spawn(move || {
            let tls = VMWorkerThread(VMThread::UNINITIALIZED);
            mmtk::memory_manager::start_worker(INSTANCE.get().unwrap(), tls, worker);
        });
    }

    fn out_of_memory(_tls: VMThread, _kind: AllocationError) {
        bench::no_room()
    }
}

impl Scanning<Vm> for Vm {
    #[inline(always)]
    fn scan_object<V: SlotVisitor<CompressedSlot>>(_tls: VMWorkerThread, object: ObjectReference, visitor: &mut V) {
        object::each_slot(object, |slot| visitor.visit_slot(slot));
    }
    fn scan_roots_in_mutator_thread(
        _tls: VMWorkerThread,
        _mutator: &'static mut Mutator<Vm>,
        mut factory: impl RootsWorkFactory<CompressedSlot>,
    ) {
        factory.create_process_roots_work(roots::live_slots());
    }
    fn scan_vm_specific_roots(_tls: VMWorkerThread, _factory: impl RootsWorkFactory<CompressedSlot>) {}
    fn notify_initial_thread_scan_complete(_partial_scan: bool, _tls: VMWorkerThread) {}
    fn supports_return_barrier() -> bool {
        false
    }
    fn prepare_for_roots_re_scanning() {}
}

impl ActivePlan<Vm> for Vm {
    /// Asked of whoever allocates: MMTk's threads do, too, when they copy.
    fn is_mutator(tls: VMThread) -> bool {
        tls == mutator_thread().0
    }
    fn mutator(_tls: VMMutatorThread) -> &'static mut Mutator<Vm> {
        mutator()
    }
    fn mutators<'a>() -> Box<dyn Iterator<Item = &'a mut Mutator<Vm>> + 'a> {
        Box::new(std::iter::once(mutator()))
    }
    fn number_of_mutators() -> usize {
        1
    }
}

/// There are no weak references and no finalizers in GCBench.
impl ReferenceGlue<Vm> for Vm {
    type FinalizableType = ObjectReference;
    fn clear_referent(_reference: ObjectReference) {
        unreachable!()
    }
    fn get_referent(_object: ObjectReference) -> Option<ObjectReference> {
        unreachable!()
    }
    fn set_referent(_reference: ObjectReference, _referent: ObjectReference) {
        unreachable!()
    }
    fn enqueue_references(_references: &[ObjectReference], _tls: VMWorkerThread) {}
}
