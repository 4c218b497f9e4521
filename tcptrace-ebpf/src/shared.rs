//! Words that both sides write while the programs run. User space finds each by the name of its section.

use core::cell::UnsafeCell;

/// Such a word.
#[repr(transparent)]
pub(crate) struct Shared(UnsafeCell<u32>);

// SAFETY: it is one word, which is read and written as a whole.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        // SAFETY: a word of a map.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: u32) {
        // SAFETY: as above.
        unsafe { self.0.get().write_volatile(value) }
    }
}
