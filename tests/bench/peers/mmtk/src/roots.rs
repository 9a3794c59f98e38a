// SPDX-License-Identifier: Apache-2.0
//! The shadow stack: exact roots. A function keeps what it must find again in slots from its @top on and hands the
//! next free slot to whom it calls; the topmost one is written down only where a collection may happen.
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::object::{CompressedSlot, Ref};

const SLOTS: usize = 256; // GCBench takes at most two a level, main() admits no more than 26 levels

struct Stack(UnsafeCell<[u32; SLOTS]>);
// SAFETY: the program writes it while it runs, MMTk while it waits.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; SLOTS]));
static TOP: AtomicPtr<u32> = AtomicPtr::new(std::ptr::null_mut());

/// The next free slot.
#[derive(Clone, Copy)]
pub struct Top(*mut u32);

impl Top {
    pub fn bottom() -> Top {
        Top(STACK.0.get().cast())
    }
    #[inline(always)]
    pub fn above(self, slots: usize) -> Top {
        Top(unsafe { self.0.add(slots) })
    }
    #[inline(always)]
    pub fn put(self, slot: usize, n: Ref) {
        unsafe { self.0.add(slot).write(n.compressed()) }
    }
    #[inline(always)]
    pub fn get(self, slot: usize) -> Ref {
        Ref::decompressed(unsafe { self.0.add(slot).read() })
    }
    /// From here on a collection may happen: it sees all slots below this one.
    #[inline(always)]
    pub fn publish(self) {
        TOP.store(self.0, Ordering::Release);
    }
}

pub fn live_slots() -> Vec<CompressedSlot> {
    let bottom: *mut u32 = STACK.0.get().cast();
    let count = unsafe { TOP.load(Ordering::Acquire).offset_from(bottom) };
    assert!(count <= SLOTS as isize);
    (0..count).map(|i| CompressedSlot(unsafe { bottom.offset(i) })).collect()
}
