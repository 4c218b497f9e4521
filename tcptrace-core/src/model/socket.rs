//! A socket as the kernel describes it.

#[cfg(test)]
use std::net::SocketAddr;
use std::{fmt, sync::Arc};

use crate::model::{flow::Flow, state::State};

/// One TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The ends. A listener has no remote end.
    pub flow: Flow,
    /// The kernel's own number for the socket, the same as in a trace. A request socket, the socket that comes from it, and
    /// the timewait socket that remains of that share one cookie.
    pub cookie: u64,
    /// How much of the socket the kernel keeps.
    pub kind: Kind,
    /// The state. A request socket is in SYN_RECV; a timewait socket is in FIN_WAIT2 or TIME_WAIT.
    pub state: State,
    /// User id of the owner; `None` for a socket without an owner.
    pub uid: Option<u32>,
    /// Inode number, by which `/proc/PID/fd` names it; `None` where no process can have it open.
    pub inode: Option<u64>,
    /// Bytes that wait to be read; for a listener, connections that wait to be accepted.
    pub recv_queue: u32,
    /// Bytes that are not acknowledged yet; for a listener, the maximum number of connections that may wait.
    pub send_queue: u32,
    /// The timer that runs.
    pub timer: Option<Timer>,
    /// Cgroup (version 2) that it was made in.
    pub cgroup_id: Option<u64>,
    /// The socket is a subflow of an MPTCP connection. Old kernels report this only to processes with CAP_NET_ADMIN.
    pub mptcp: bool,
    /// Segments that were dropped on their way into the socket; for a listener, SYNs and connections.
    pub drops: Option<u32>,
    /// `struct tcp_info` of the connection; `None` where there is none.
    pub info: Option<Info>,
    /// Lower limit of the nanoseconds that the socket has been in its state; `None` where nothing shows it. The kernel keeps
    /// no time of the last change of state. `scan/snapshot/age.rs` describes the sources of this value.
    pub age_at_least_ns: Option<u64>,
    /// Index of the network device that it is bound to, by a program or by a link-local address; `None` without one. Two
    /// sockets with the same ends on two devices are two connections.
    pub ifindex: Option<u32>,
    /// The name of that device in its namespace; `None` where the device is gone.
    pub device: Option<Arc<str>>,
    /// `IP_TRANSPARENT`, which a child has from its listener; `None` where the kernel does not report it (before Linux
    /// 5.10).
    pub transparent: Option<bool>,
}

impl Socket {
    /// A socket of which nothing else is known.
    pub const fn new(state: State, flow: Flow) -> Self {
        Self {
            flow,
            cookie: 0,
            kind: Kind::Full,
            state,
            uid: None,
            inode: None,
            recv_queue: 0,
            send_queue: 0,
            timer: None,
            cgroup_id: None,
            mptcp: false,
            drops: None,
            info: None,
            age_at_least_ns: None,
            ifindex: None,
            device: None,
            transparent: None,
        }
    }

    /// A socket between two ends in namespace 1. A test adds the fields that it is about.
    #[cfg(test)]
    pub fn between(state: State, local: SocketAddr, remote: SocketAddr) -> Self {
        let flow = Flow { netns: Some(1), local: local.into(), remote: remote.into() };
        Self { cookie: 1, ..Self::new(state, flow) }
    }

    /// The same socket in another namespace.
    #[cfg(test)]
    #[must_use]
    pub fn in_netns(self, netns: Option<u32>) -> Self {
        Self { flow: self.flow.in_netns(netns), ..self }
    }
}

/// How much of a socket the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All of it.
    Full,
    /// A half-open connection of a listener (`struct request_sock`).
    Request,
    /// The remains of a socket that its program has closed (`struct inet_timewait_sock`).
    TimeWait,
}

impl Kind {
    /// Its name in JSON and CSV.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Request => "request",
            Self::TimeWait => "time_wait",
        }
    }
}

/// A timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Its purpose.
    pub kind: TimerKind,
    /// Milliseconds until it ends.
    pub expires_ms: u32,
    /// How often the timer ended without an answer.
    pub retransmits: u8,
}

/// The purpose of a timer, `idiag_timer` in `linux/inet_diag.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// Retransmission.
    On,
    /// Keepalive, or the end of an orphan in FIN_WAIT2.
    Keepalive,
    /// The end of a timewait socket.
    TimeWait,
    /// The probe of a closed window.
    Persist,
    /// A timer that this version does not know.
    Other(u8),
}

/// The names of `ss`.
impl fmt::Display for TimerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Keepalive => f.write_str("keepalive"),
            Self::TimeWait => f.write_str("timewait"),
            Self::Persist => f.write_str("persist"),
            Self::Other(number) => write!(f, "timer_{number}"),
        }
    }
}

/// Parts of `struct tcp_info` (`linux/tcp.h`). Times are those that have passed since an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Smoothed round-trip time; `None` until one was measured.
    pub srtt_us: Option<u32>,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Segments sent again, in all.
    pub total_retrans: u32,
    /// Time since data was last sent, or since the connection was made; `None` when neither ever was.
    pub last_data_sent_ms: Option<u32>,
    /// Time since data was last received, or since the connection was made; `None` when the kernel noted neither, as after a
    /// simultaneous open.
    pub last_data_recv_ms: Option<u32>,
    /// Time since an acknowledgement was last received; `None` when none ever was.
    pub last_ack_recv_ms: Option<u32>,
    /// Bytes acknowledged by the peer, in sequence space ([`crate::model::payload`]).
    pub bytes_acked: u64,
    /// Bytes received, in sequence space.
    pub bytes_received: u64,
    /// Bytes that the program has written and TCP has not sent.
    pub notsent_bytes: u32,
    /// The peer's window in bytes: 0 forbids to send.
    pub snd_wnd: u32,
    /// Bytes of data that were sent, those sent again counted again.
    pub bytes_sent: Option<u64>,
    /// Bytes of data that were sent again.
    pub bytes_retrans: Option<u64>,
}
