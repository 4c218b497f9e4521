//! The kernel's timer of a request socket (`reqsk_timer_handler()`, `net/ipv4/inet_connection_sock.c`). It fires a second
//! after the SYN-ACK, two seconds after the next, then four and so on. Each time the kernel sends the SYN-ACK again. After
//! `tcp_synack_retries` retransmits the kernel gives the connection up. Where the queue is more than half full, the kernel
//! gives up after fewer retransmits, but not before two.

/// `TCP_TIMEOUT_INIT`, `include/net/tcp.h`.
const FIRST_NS: u64 = 1_000_000_000;
/// `TCP_RTO_MAX`.
const LONGEST_NS: u64 = 120 * FIRST_NS;
/// The fewest retransmits before the kernel gives up, unless the sysctl is lower.
const FEWEST: u32 = 2;
/// The kernel's default of `net.ipv4.tcp_synack_retries`.
pub(super) const RETRIES: u32 = 5;

/// The time from the `sent`th retransmit of a SYN-ACK until the timer fires, nanoseconds; 0 is the first SYN-ACK.
pub(super) fn interval_ns(sent: u32) -> u64 {
    FIRST_NS.checked_shl(sent.min(32)).unwrap_or(LONGEST_NS).min(LONGEST_NS)
}

/// Whether the kernel may have given up by itself after `sent` retransmits.
pub(super) fn may_give_up(sent: u32, retries: u32) -> bool {
    sent >= retries.min(FEWEST)
}

/// The longest life of a half-open connection, nanoseconds. Timers fire up to an eighth late (`kernel/time/timer.c`).
pub(super) fn longest_life_ns(retries: u32) -> u64 {
    let all: u64 = (0..=retries.min(255)).map(interval_ns).sum();
    all + all / 8 + FIRST_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn intervals_double_up_to_two_minutes() {
        let seconds: Vec<u64> = (0..9).map(|sent| interval_ns(sent) / SECOND).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(interval_ns(u32::MAX), 120 * SECOND);
    }

    #[test]
    fn lives() {
        assert_eq!(longest_life_ns(RETRIES) / SECOND, 63 + 7 + 1);
        assert_eq!(longest_life_ns(0), SECOND + SECOND / 8 + SECOND);
        assert!(longest_life_ns(u32::MAX) > longest_life_ns(254));
        assert!(may_give_up(2, 5) && !may_give_up(1, 5) && may_give_up(1, 1) && may_give_up(0, 0));
    }
}
