// SPDX-License-Identifier: Apache-2.0
//! What lies in the heap: 24 bytes a node, as with mmgcd: a header of 8, two references of 4, two i32.
//!
//! The heap lies below 32 GiB, so a reference is its address over 8 in 32 bits, null is 0: what HotSpot does, too.
//! The header is one word: the kind of object from bit 8 on, an array's length from bit 16 on. While an object is
//! moved its lowest two bits are MMTk's forwarding bits, afterwards all of it is the forwarding pointer.
use mmtk::util::copy::{CopySemantics, GCWorkerCopyContext};
use mmtk::util::{Address, ObjectReference};
use mmtk::vm::slot::Slot;
use mmtk::vm::{
    ObjectModel, VMGlobalLogBitSpec, VMLocalForwardingBitsSpec, VMLocalForwardingPointerSpec, VMLocalLOSMarkNurserySpec,
    VMLocalMarkBitSpec,
};

use crate::binding::Vm;

pub const ALIGN: usize = 8;
pub const NODE_BYTES: usize = 24;
const FORWARDING_BITS: usize = 0b11;
const NODE: usize = 1 << 8;
const ARRAY: usize = 2 << 8;

#[repr(C)]
struct NodeLayout {
    header: usize,
    left: u32,
    right: u32,
    i: i32,
    j: i32,
}
const _: () = assert!(std::mem::size_of::<NodeLayout>() == NODE_BYTES);

/// An object's address, as a program holds it in a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ref(usize);

#[derive(Clone, Copy)]
pub enum Field {
    Left,
    Right,
}

impl Ref {
    pub const NULL: Ref = Ref(0);

    /// Makes @at, NODE_BYTES of zeroes, a node.
    #[inline(always)]
    pub unsafe fn new_node(at: Address) -> Ref {
        at.store(NODE);
        Ref(at.as_usize())
    }
    /// Makes @at, array_bytes(@count) of zeroes, an array of @count doubles.
    pub unsafe fn new_array(at: Address, count: usize) -> Ref {
        at.store(ARRAY | count << 16);
        Ref(at.as_usize())
    }
    pub fn doubles(self) -> *mut f64 {
        (self.0 + 8) as *mut f64
    }
    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
    #[inline(always)]
    pub fn address(self) -> usize {
        self.0
    }
    #[inline(always)]
    pub fn compressed(self) -> u32 {
        (self.0 >> 3) as u32
    }
    #[inline(always)]
    pub fn decompressed(v: u32) -> Ref {
        Ref((v as usize) << 3)
    }
    pub fn object(self) -> ObjectReference {
        reference(self.0)
    }
    /// A field's place. No reference to it is ever made: collector threads may write it while the program waits.
    #[inline(always)]
    pub fn slot(self, field: Field) -> *mut u32 {
        let n = self.0 as *mut NodeLayout;
        match field {
            Field::Left => unsafe { &raw mut (*n).left },
            Field::Right => unsafe { &raw mut (*n).right },
        }
    }
    #[inline(always)]
    pub fn get(self, field: Field) -> Ref {
        Ref::decompressed(unsafe { self.slot(field).read() })
    }
}

fn reference(address: usize) -> ObjectReference {
    debug_assert!(address != 0 && address % ALIGN == 0);
    // SAFETY: whoever asks has an object's address.
    unsafe { ObjectReference::from_raw_address_unchecked(Address::from_usize(address)) }
}

pub fn array_bytes(count: usize) -> usize {
    8 + 8 * count
}

fn header(object: ObjectReference) -> usize {
    unsafe { object.to_raw_address().load::<usize>() }
}

fn size(object: ObjectReference) -> usize {
    let h = header(object);
    if h & ARRAY == 0 {
        NODE_BYTES
    } else {
        array_bytes(h >> 16)
    }
}

/// Calls @visit for each place in @object that may hold a reference.
#[inline(always)]
pub fn each_slot(object: ObjectReference, mut visit: impl FnMut(CompressedSlot)) {
    if header(object) & NODE != 0 {
        let n = Ref(object.to_raw_address().as_usize());
        visit(CompressedSlot(n.slot(Field::Left)));
        visit(CompressedSlot(n.slot(Field::Right)));
    }
}

/// Four bytes that hold a reference: a node's field, or an entry of the shadow stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CompressedSlot(pub *mut u32);
unsafe impl Send for CompressedSlot {}
unsafe impl Sync for CompressedSlot {}

impl Slot for CompressedSlot {
    #[inline(always)]
    fn load(&self) -> Option<ObjectReference> {
        let v = unsafe { self.0.read_volatile() };
        (v != 0).then(|| reference((v as usize) << 3))
    }
    #[inline(always)]
    fn store(&self, object: ObjectReference) {
        unsafe { self.0.write_volatile((object.to_raw_address().as_usize() >> 3) as u32) }
    }
}

impl ObjectModel<Vm> for Vm {
    const GLOBAL_LOG_BIT_SPEC: VMGlobalLogBitSpec = VMGlobalLogBitSpec::side_first();
    const LOCAL_FORWARDING_POINTER_SPEC: VMLocalForwardingPointerSpec = VMLocalForwardingPointerSpec::in_header(0);
    const LOCAL_FORWARDING_BITS_SPEC: VMLocalForwardingBitsSpec = VMLocalForwardingBitsSpec::in_header(0);
    const LOCAL_MARK_BIT_SPEC: VMLocalMarkBitSpec = VMLocalMarkBitSpec::side_first();
    const LOCAL_LOS_MARK_NURSERY_SPEC: VMLocalLOSMarkNurserySpec =
        VMLocalLOSMarkNurserySpec::side_after(Self::LOCAL_MARK_BIT_SPEC.as_spec());
    const UNIFIED_OBJECT_REFERENCE_ADDRESS: bool = true;
    const OBJECT_REF_OFFSET_LOWER_BOUND: isize = 0;
    const VM_WORST_CASE_COPY_EXPANSION: f64 = 1.0; // a copy is as large as what it is of

    #[inline(always)]
    fn copy(from: ObjectReference, semantics: CopySemantics, context: &mut GCWorkerCopyContext<Vm>) -> ObjectReference {
        let bytes = size(from);
        let to = context.alloc_copy(from, bytes, ALIGN, 0, semantics);
        // SAFETY: both ends are @bytes long and ours alone until the forwarding pointer is published.
        unsafe {
            let (src, dst) = (from.to_raw_address().to_ptr::<usize>(), to.to_mut_ptr::<usize>());
            dst.write(src.read() & !FORWARDING_BITS);
            if bytes == NODE_BYTES {
                dst.add(1).write(src.add(1).read());
                dst.add(2).write(src.add(2).read());
            } else {
                std::ptr::copy_nonoverlapping(src.add(1), dst.add(1), bytes / 8 - 1);
            }
        }
        let new = reference(to.as_usize());
        context.post_copy(new, bytes, semantics);
        new
    }
    #[inline(always)]
    fn get_current_size(object: ObjectReference) -> usize {
        size(object)
    }
    #[inline(always)]
    fn get_size_when_copied(object: ObjectReference) -> usize {
        size(object)
    }
    #[inline(always)]
    fn get_align_when_copied(_object: ObjectReference) -> usize {
        ALIGN
    }
    #[inline(always)]
    fn get_align_offset_when_copied(_object: ObjectReference) -> usize {
        0
    }
    #[inline(always)]
    fn get_reference_when_copied_to(_from: ObjectReference, to: Address) -> ObjectReference {
        reference(to.as_usize())
    }
    fn copy_to(_from: ObjectReference, _to: ObjectReference, _region: Address) -> Address {
        unreachable!("only plans that slide objects ask for this")
    }
    #[inline(always)]
    fn ref_to_object_start(object: ObjectReference) -> Address {
        object.to_raw_address()
    }
    #[inline(always)]
    fn ref_to_header(object: ObjectReference) -> Address {
        object.to_raw_address()
    }
    fn get_type_descriptor(_object: ObjectReference) -> &'static [i8] {
        unreachable!("MMTk asks for no type")
    }
    fn dump_object(object: ObjectReference) {
        eprintln!("{object}: header {:#x}", header(object));
    }
}
