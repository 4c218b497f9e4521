//! When the context of a transition is the process that acts on the socket.

use crate::{ECONNABORTED, RecordFlags, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_SENT};

/// `TCP_FIN_WAIT1`, `include/net/tcp_states.h`.
const TCP_FIN_WAIT1: u8 = 4;
/// `TCP_CLOSE_WAIT`.
const TCP_CLOSE_WAIT: u8 = 8;
/// `TCP_LAST_ACK`.
const TCP_LAST_ACK: u8 = 9;

/// Whether the context process certainly acts on the socket that changes its state.
///
/// It does when it holds the socket lock: packets for a locked socket wait until the holder releases it and
/// are then handled in its context. Two holders are no owners: kernel threads, and whoever destroys somebody
/// else's socket through `sock_diag` (`ss -K`), which leaves [`ECONNABORTED`]. Where the lock cannot be read,
/// only the transitions that nothing but a system call makes count.
#[inline(always)]
pub const fn context_owns(flags: u16, sk_err: i32, old: u8, new: u8) -> bool {
    if flags & RecordFlags::KERNEL_THREAD != 0 || (new == TCP_CLOSE && sk_err == ECONNABORTED) {
        return false;
    }
    if flags & RecordFlags::LOCK_KNOWN != 0 {
        return flags & RecordFlags::LOCK_OWNED != 0;
    }
    matches!(
        (old, new),
        (TCP_CLOSE, TCP_LISTEN | TCP_SYN_SENT)
            | (TCP_LISTEN, TCP_CLOSE)
            | (TCP_ESTABLISHED, TCP_FIN_WAIT1)
            | (TCP_CLOSE_WAIT, TCP_LAST_ACK)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: u16 = RecordFlags::LOCK_KNOWN | RecordFlags::LOCK_OWNED;

    #[test]
    fn the_lock_decides_where_it_is_known() {
        assert!(context_owns(OWNED, 0, TCP_SYN_SENT, TCP_ESTABLISHED));
        assert!(!context_owns(RecordFlags::LOCK_KNOWN, 0, TCP_CLOSE, TCP_SYN_SENT));
    }

    #[test]
    fn neither_kernel_threads_nor_destroyers_own() {
        assert!(!context_owns(OWNED | RecordFlags::KERNEL_THREAD, 0, TCP_ESTABLISHED, TCP_FIN_WAIT1));
        assert!(!context_owns(OWNED, ECONNABORTED, TCP_ESTABLISHED, TCP_CLOSE));
    }

    #[test]
    fn without_the_lock_only_system_calls_count() {
        assert!(context_owns(0, 0, TCP_ESTABLISHED, TCP_FIN_WAIT1));
        assert!(!context_owns(0, 0, TCP_SYN_SENT, TCP_ESTABLISHED));
    }
}
