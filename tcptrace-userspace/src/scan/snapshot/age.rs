//! The time that a socket has been in its state, as far as the kernel's answer shows it.

use tcptrace_core::model::{
    socket::{Info, Kind, Timer},
    state::State,
};

/// `TCP_TIMEWAIT_LEN` of `net/tcp.h`, which no sysctl changes.
const TIMEWAIT_MS: u32 = 60_000;

/// Nanoseconds that a socket has been in its state at least; `None` where that is unknown.
///
/// The kernel keeps no time of the last change of state. It keeps times of other events, which happened at that change
/// or after it:
///
/// - TIME_WAIT: `tcp_time_wait()` starts a timer of 60 seconds on entry. A segment that the peer sends again starts it
///   anew (`tcp_timewait_state_process()`; RFC 9293, 3.10.7.4), so the time in the state can be longer.
/// - FIN_WAIT2 without a socket: `tcp_close()`, or the acknowledgement of the FIN after it, starts a timer of
///   `net.ipv4.tcp_fin_timeout`. Before that, a program can have held the socket in this state. A program that set
///   `TCP_LINGER2` has another time, which the answer does not contain. Where that time is shorter, the result is too
///   long by the difference.
/// - FIN_WAIT2 with a socket: entered when our FIN is acknowledged. `tcp_ack()` stores when it last saw an
///   acknowledgement, which was this one or a later one.
/// - CLOSE_WAIT: entered with the peer's FIN, whose segment acknowledges, too.
/// - ESTABLISHED: `tcp_finish_connect()` and `tcp_create_openreq_child()` set the times of the last data sent and
///   received, `tcp_ack()` that of the last acknowledgement. None of these times is older than the connection.
///
/// The other states have no such time.
pub(super) fn at_least_ns(
    kind: Kind,
    state: State,
    timer: Option<Timer>,
    info: Option<&Info>,
    fin_timeout_ms: Option<u32>,
) -> Option<u64> {
    let elapsed_of = |length_ms: u32| length_ms.checked_sub(timer?.expires_ms);
    let ms = match (kind, state) {
        (Kind::TimeWait, State::TIME_WAIT) => elapsed_of(TIMEWAIT_MS)?,
        (Kind::TimeWait, State::FIN_WAIT2) => elapsed_of(fin_timeout_ms?)?,
        (Kind::Full, State::FIN_WAIT2 | State::CLOSE_WAIT) => info?.last_ack_recv_ms?,
        (Kind::Full, State::ESTABLISHED) => {
            let info = info?;
            // `None` is less than any number. It stands for an event that never happened, as data after a simultaneous
            // open.
            info.last_data_sent_ms.max(info.last_data_recv_ms).max(info.last_ack_recv_ms)?
        }
        _ => return None,
    };
    Some(u64::from(ms) * 1_000_000)
}
