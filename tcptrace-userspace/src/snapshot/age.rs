//! How long a socket has been in its state, as far as the kernel's answer tells.

use super::{Info, Kind, Timer};
use crate::state::State;

/// Time in the state, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// This long.
    Known(u64),
    /// This long or longer.
    AtLeast(u64),
    /// The kernel keeps nothing that would tell.
    Unknown,
}

/// `TCP_TIMEWAIT_LEN` of `net/tcp.h`, which no sysctl changes.
const TIMEWAIT_MS: u32 = 60_000;

impl Age {
    /// The age of a socket, by what the kernel keeps of it. It keeps no time of the last change of state, but times of
    /// other things that happened at it, or can only have happened since:
    ///
    /// - TIME_WAIT: `tcp_time_wait()` starts a timer of 60 seconds on entry. A segment that arrives late starts it
    ///   anew, as RFC 9293 (3.10.7.4) wants it: the age is that of the waiting which goes on now.
    /// - FIN_WAIT2 without a socket: `tcp_close()`, or the acknowledgement of the FIN after it, starts a timer of
    ///   `net.ipv4.tcp_fin_timeout`. Before that, a program can have held the socket in this state. A program that set
    ///   `TCP_LINGER2` has another time, which the answer does not tell; where it is shorter, the age is too long by
    ///   the difference.
    /// - FIN_WAIT2 with a socket: entered when our FIN is acknowledged; `tcp_ack()` notes when it last saw an
    ///   acknowledgement, which was this one or a later one.
    /// - CLOSE_WAIT: entered with the peer's FIN, whose segment acknowledges, too.
    /// - ESTABLISHED: `tcp_finish_connect()` and `tcp_create_openreq_child()` set the times of the last data sent and
    ///   received, `tcp_ack()` that of the last acknowledgement; none is older than the connection.
    ///
    /// Of the other states nothing tells.
    pub(super) fn of(
        kind: Kind,
        state: State,
        timer: Option<Timer>,
        info: Option<&Info>,
        fin_timeout_ms: Option<u32>,
    ) -> Self {
        let since = |length: u32| length.checked_sub(timer?.expires_ms);
        let at_least = |ms: Option<u32>| ms.map_or(Self::Unknown, |ms| Self::AtLeast(nanoseconds(ms)));
        match (kind, state) {
            (Kind::TimeWait, State::TIME_WAIT) => {
                since(TIMEWAIT_MS).map_or(Self::Unknown, |ms| Self::Known(nanoseconds(ms)))
            }
            (Kind::TimeWait, State::FIN_WAIT2) => at_least(fin_timeout_ms.and_then(since)),
            (Kind::Full, State::FIN_WAIT2 | State::CLOSE_WAIT) => {
                at_least(info.map(|info| info.last_ack_recv_ms))
            }
            (Kind::Full, State::ESTABLISHED) => {
                at_least(info.map(|info| {
                    info.last_data_sent_ms.max(info.last_data_recv_ms).max(info.last_ack_recv_ms)
                }))
            }
            _ => Self::Unknown,
        }
    }

    /// The nanoseconds, known or at least; `None` when unknown.
    pub fn nanoseconds(self) -> Option<u64> {
        match self {
            Self::Known(ns) | Self::AtLeast(ns) => Some(ns),
            Self::Unknown => None,
        }
    }
}

fn nanoseconds(ms: u32) -> u64 {
    u64::from(ms) * 1_000_000
}
