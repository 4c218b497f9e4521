//! Waking the reader for the first record after a while. A reader that has found nothing for long stops coming by itself,
//! and says so here before.

use crate::shared::Shared;

/// 1: the reader sleeps.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.asleep")]
static ASLEEP: Shared = Shared::new();

/// Whether the reader is to be woken, whatever there is to read.
#[inline(always)]
pub(crate) fn is_asleep() -> bool {
    ASLEEP.get() != 0
}

/// It has been.
#[inline(always)]
pub(crate) fn woken() {
    ASLEEP.set(0);
}
