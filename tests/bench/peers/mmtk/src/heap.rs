// SPDX-License-Identifier: Apache-2.0
//! Allocation and the write barrier: fast paths here, inlined and made for one kind of plan each, slow paths MMTk's.
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use mmtk::memory_manager::{self, get_allocator_mapping};
use mmtk::plan::MutatorContext;
use mmtk::util::alloc::{Allocator, AllocatorSelector, BumpAllocator, BumpPointer, FreeListAllocator, ImmixAllocator};
use mmtk::util::metadata::side_metadata::global_side_metadata_vm_base_address;
use mmtk::util::Address;
use mmtk::vm::ObjectModel;
use mmtk::{AllocationSemantics, Mutator, MMTK};

use crate::bench;
use crate::binding::Vm;
use crate::object::{array_bytes, CompressedSlot, Field, Ref, ALIGN, NODE_BYTES};
use crate::roots::Top;

/// How a kind of plan allocates, and whether its stores are written down.
pub trait Kind {
    const BARRIER: bool;
    /// Zeroed memory for a node. A collection may happen: it finds what lies below @top.
    fn alloc(heap: &mut Heap, top: Top) -> Address;
}

pub struct Heap {
    bump: BumpPointer, // the mutator's own, taken over where it is needed: see Bump
    unlogged: *const u8,
    mutator: &'static mut Mutator<Vm>,
    nodes: *mut u8, // the mutator's allocator for small objects, of the type that the plan's Kind knows
}

pub fn node_allocator(mmtk: &MMTK<Vm>) -> AllocatorSelector {
    get_allocator_mapping(mmtk, AllocationSemantics::Default)
}

impl Heap {
    pub fn new(mmtk: &MMTK<Vm>, mutator: &'static mut Mutator<Vm>) -> Heap {
        let offset = Mutator::<Vm>::get_allocator_base_offset(node_allocator(mmtk));
        Heap {
            bump: BumpPointer::default(),
            unlogged: global_side_metadata_vm_base_address().to_ptr(),
            nodes: unsafe { (mutator as *mut Mutator<Vm>).cast::<u8>().add(offset) },
            mutator,
        }
    }

    /// A node of zeroes. @top: every node that is still wanted lies in a slot below it and may have moved afterwards.
    #[inline(always)]
    pub fn node<K: Kind>(&mut self, top: Top) -> Ref {
        let at = K::alloc(self, top);
        // SAFETY: as many bytes of zeroes. MMTk's post_alloc() does nothing for objects of these spaces without VO bits.
        unsafe { Ref::new_node(at) }
    }

    /// Stores @child into a node that was just made: nobody needs to know.
    #[inline(always)]
    pub fn init(&self, n: Ref, field: Field, child: Ref) {
        unsafe { n.slot(field).write(child.compressed()) }
    }

    #[inline(always)]
    pub fn set<K: Kind>(&mut self, n: Ref, field: Field, child: Ref) {
        self.init(n, field, child);
        if K::BARRIER && self.is_unlogged(n) {
            self.log(n, field, child);
        }
    }

    /// One bit for every 8 bytes of heap; set: the first store since the last collection into an object that is old.
    #[inline(always)]
    fn is_unlogged(&self, n: Ref) -> bool {
        let byte = unsafe { self.unlogged.add(n.address() >> 6).read() };
        byte >> (n.address() >> 3 & 7) & 1 != 0
    }

    #[cold]
    #[inline(never)]
    fn log(&mut self, n: Ref, field: Field, child: Ref) {
        let slot = CompressedSlot(n.slot(field));
        self.mutator.barrier().object_reference_write_slow(n.object(), slot, Some(child.object()));
    }

    /// @count doubles, zeroed, which never move: larger than what any plan keeps among small objects.
    pub fn array(&mut self, top: Top, count: usize) -> Ref {
        top.publish();
        let bytes = array_bytes(count);
        let at = memory_manager::alloc(self.mutator, bytes, ALIGN, 0, AllocationSemantics::Los);
        self.bump = BumpPointer::default(); // a collection took the buffer back, if there was one
        let array = unsafe { Ref::new_array(at, count) };
        memory_manager::post_alloc(self.mutator, array.object(), bytes, AllocationSemantics::Los);
        array
    }

    /// What the barrier reads of @n's unlog bit is what MMTk itself has there, or the program ends.
    pub fn check_barrier(&self, n: Ref) {
        for bit in [1, 0] {
            Vm::GLOBAL_LOG_BIT_SPEC.store_atomic::<Vm, u8>(n.object(), bit, None, Ordering::Relaxed);
            if self.is_unlogged(n) != (bit == 1) {
                bench::die("unlog bits are not where the barrier looks");
            }
        }
    }
}

/// The two allocators of MMTk that bump: SemiSpace's and GenImmix's nursery's, and that of Immix and StickyImmix.
pub trait Bumping: Allocator<Vm> {
    fn bump_pointer(&mut self) -> &mut BumpPointer;
}
impl Bumping for BumpAllocator<Vm> {
    fn bump_pointer(&mut self) -> &mut BumpPointer {
        &mut self.bump_pointer
    }
}
impl Bumping for ImmixAllocator<Vm> {
    fn bump_pointer(&mut self) -> &mut BumpPointer {
        &mut self.bump_pointer
    }
}

/// Bump allocation. The buffer is held here and given back to the mutator's allocator before its slow path runs, which
/// is also the only place where a collection takes it away.
pub struct Bump<A: Bumping, const BARRIER: bool>(PhantomData<A>);

impl<A: Bumping, const BARRIER: bool> Kind for Bump<A, BARRIER> {
    const BARRIER: bool = BARRIER;

    #[inline(always)]
    fn alloc(heap: &mut Heap, top: Top) -> Address {
        let at = heap.bump.cursor;
        let end = at + NODE_BYTES;
        if end > heap.bump.limit {
            return Self::slow(heap, top);
        }
        heap.bump.cursor = end;
        at
    }
}

impl<A: Bumping, const BARRIER: bool> Bump<A, BARRIER> {
    /// MMTk's alloc(), not its alloc_slow(): that would pass over the free lines of Immix's partly used blocks.
    #[inline(never)]
    fn slow(heap: &mut Heap, top: Top) -> Address {
        top.publish();
        // SAFETY: main() has chosen A by what the plan says of its allocator; nobody else holds it meanwhile.
        let allocator = unsafe { &mut *heap.nodes.cast::<A>() };
        *allocator.bump_pointer() = heap.bump;
        let at = allocator.alloc(NODE_BYTES, ALIGN, 0);
        heap.bump = *allocator.bump_pointer();
        at
    }
}

/// MarkSweep's free lists. MMTk has no layout of a fast path for others to inline, so it is its own alloc(), of the type
/// that we know it has: no table of semantics and no dynamic call on the way.
pub struct FreeList;

impl Kind for FreeList {
    const BARRIER: bool = false;

    #[inline(always)]
    fn alloc(heap: &mut Heap, top: Top) -> Address {
        top.publish();
        // SAFETY: as above.
        unsafe { &mut *heap.nodes.cast::<FreeListAllocator<Vm>>() }.alloc(NODE_BYTES, ALIGN, 0)
    }
}
