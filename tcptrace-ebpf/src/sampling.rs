//! How much is left out while there are more transitions than the reader takes.
//!
//! User space sets the level by the rate. When it does not come to read, the ring fills, and the kernel side raises the
//! level by itself: so a reader that is stopped finds a part of everything, and the count of the rest, and not the first
//! second of a storm only.

use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use tcptrace_common::Level;

use crate::{config::config, shared::Shared};

/// The present [`Level`].
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.level")]
static LEVEL: Shared = Shared::new();

#[inline(always)]
fn level() -> Level {
    Level(LEVEL.get())
}

/// Whether a record of the socket with this key is left out. The key is asked for only where it decides.
#[inline(always)]
pub(crate) fn leaves_out(key: impl FnOnce() -> u64) -> bool {
    let level = level();
    level != Level::ALL && (level >= Level::NONE || !level.keeps(key()))
}

/// The key of a socket. Without a cookie it is its ports, which others may have, too; a socket that connects has none of its
/// own at first, and chance decides.
#[inline(always)]
pub(crate) fn key(cookie: u64, lport: u16, rport: u16) -> u64 {
    match (cookie, lport) {
        // SAFETY: no arguments.
        (0, 0) => u64::from(unsafe { bpf_get_prandom_u32() }),
        (0, _) => u64::from(lport) << 16 | u64::from(rport),
        _ => cookie,
    }
}

/// Whether all records are.
#[inline(always)]
pub(crate) fn leaves_out_all() -> bool {
    level() >= Level::NONE
}

/// Raises the level when so much of the ring is unread that the reader may not come in time.
#[inline(always)]
pub(crate) fn unread(bytes: u64) {
    let sixteenth = u64::from(config().watermark) / 4;
    let least = if bytes >= 15 * sixteenth {
        // What is left is for the batches that the CPUs have.
        Level::NONE
    } else if bytes >= 14 * sixteenth {
        Level(6)
    } else if bytes >= 13 * sixteenth {
        Level(3)
    } else {
        return;
    };
    raise(least);
}

/// Stops sending: there is no room left. A ring of a few pages may be full before it was nearly so.
#[inline(always)]
pub(crate) fn no_room() {
    raise(Level::NONE);
}

/// Raises it to `least`. Two CPUs that do so at once may leave the lower one of two: the next batch mends it.
#[inline(always)]
fn raise(least: Level) {
    if level() < least {
        LEVEL.set(least.0);
    }
}
