//! The settings that user space writes into the object's read-only data before it is loaded.

use core::cell::UnsafeCell;

use tcptrace_common::Config;

/// A value that the compiler must load, since the loader replaces it.
#[repr(transparent)]
struct Replaced<T>(UnsafeCell<T>);

// SAFETY: nothing writes to it while a program runs; the map behind it is frozen before that.
unsafe impl<T> Sync for Replaced<T> {}

/// The map behind this section is frozen, so the verifier treats each field as a constant, and drops the
/// branches that are switched off together with the loads whose offsets are unknown.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.config")]
static CONFIG: Replaced<Config> = Replaced(UnsafeCell::new(Config::EMPTY));

/// The settings.
#[inline(always)]
pub(crate) fn config() -> &'static Config {
    // SAFETY: see above.
    unsafe { &*CONFIG.0.get() }
}

/// Whether user space resolved everything that `bits` (bits of `Known`) stands for.
#[inline(always)]
pub(crate) fn known(bits: u32) -> bool {
    config().known & bits != 0
}
