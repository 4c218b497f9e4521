//! Loads through typed kernel pointers: no helper, no copy.

use tcptrace_common::Address;

/// Loads a field.
///
/// # Safety
/// `base` is a pointer whose kernel type the verifier knows: it checks offset and width against that type when
/// the program is loaded, and a fault reads as 0.
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: the caller's promise.
    unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
}

/// Loads the sixteen bytes of an address as two words.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub(crate) unsafe fn load_v6(base: *const u8, offset: u32) -> Address {
    // SAFETY: the caller's promise.
    unsafe { Address { words: [load(base, offset), load(base, offset + 8)] } }
}
