//! How a connection ended.

use std::sync::Arc;

use crate::state::State;

/// What is told with the transition to CLOSE, beyond what the kernel said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// Why it ended; `None` when the evidence is not enough.
    pub cause: Option<Cause>,
    /// The kernel's reason for the reset that this side sent, `sk_rst_reason` in lower case (Linux 6.10).
    pub reset_reason: Option<Arc<str>>,
    /// Which part the socket had; `None` when its beginning was not seen.
    pub role: Option<Role>,
    /// Nanoseconds from its first transition; `None` when that was not seen.
    pub life_ns: Option<u64>,
    /// Nanoseconds in each state that it left, in their order; without those whose beginning was not seen.
    pub states: Vec<(State, u64)>,
}

/// Which part a socket had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It called `connect()`.
    Client,
    /// It came from a listener.
    Server,
    /// It listened.
    Listener,
}

impl Role {
    /// As all outputs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Listener => "listener",
        }
    }
}

/// Why a connection, or a listener, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// This side closed first, with a FIN.
    ActiveClose,
    /// The peer closed first.
    PassiveClose,
    /// Both closed before either had the other's FIN.
    SimultaneousClose,
    /// The process of this side ended with the socket open, and so closed it or reset it.
    ProcessExited,
    /// The peer sent a reset.
    ResetByPeer,
    /// `close()` with `SO_LINGER` and a time of 0, which resets.
    ResetLinger,
    /// `close()` while received data was unread, which resets.
    ResetUnread,
    /// Reset by the program, by `connect()` to `AF_UNSPEC`.
    ResetDisconnect,
    /// Reset by the kernel: data for a closed socket, or want of memory.
    ResetByKernel,
    /// Destroyed from outside, as `ss -K` does.
    Killed,
    /// The peer answered the SYN with a reset.
    Refused,
    /// No answer to the SYN.
    ConnectTimeout,
    /// No route to the host, or no neighbour with its address (`EHOSTUNREACH`).
    HostUnreachable,
    /// No route to the network (`ENETUNREACH`).
    NetUnreachable,
    /// The program gave up before the connection was there.
    ConnectCancelled,
    /// `connect()` found no free local port (`EADDRNOTAVAIL`).
    NoLocalPort,
    /// The peer answered no keepalive probe.
    KeepaliveTimeout,
    /// The time of `TCP_USER_TIMEOUT` passed without an acknowledgement.
    UserTimeout,
    /// Retransmissions, or probes of a closed window, were not acknowledged.
    RetransmissionTimeout,
    /// The listener was closed before anyone accepted the connection.
    ListenerClosed,
    /// A listener, closed by its program.
    StoppedListening,
    /// `listen()` found the address in use (`EADDRINUSE`).
    AddressInUse,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::ActiveClose,
        Self::PassiveClose,
        Self::SimultaneousClose,
        Self::ProcessExited,
        Self::ResetByPeer,
        Self::ResetLinger,
        Self::ResetUnread,
        Self::ResetDisconnect,
        Self::ResetByKernel,
        Self::Killed,
        Self::Refused,
        Self::ConnectTimeout,
        Self::HostUnreachable,
        Self::NetUnreachable,
        Self::ConnectCancelled,
        Self::NoLocalPort,
        Self::KeepaliveTimeout,
        Self::UserTimeout,
        Self::RetransmissionTimeout,
        Self::ListenerClosed,
        Self::StoppedListening,
        Self::AddressInUse,
    ];

    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActiveClose => "active_close",
            Self::PassiveClose => "passive_close",
            Self::SimultaneousClose => "simultaneous_close",
            Self::ProcessExited => "process_exited",
            Self::ResetByPeer => "reset_by_peer",
            Self::ResetLinger => "reset_linger",
            Self::ResetUnread => "reset_unread",
            Self::ResetDisconnect => "reset_disconnect",
            Self::ResetByKernel => "reset_by_kernel",
            Self::Killed => "killed",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
            Self::ConnectCancelled => "connect_cancelled",
            Self::NoLocalPort => "no_local_port",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::UserTimeout => "user_timeout",
            Self::RetransmissionTimeout => "retransmission_timeout",
            Self::ListenerClosed => "listener_closed",
            Self::StoppedListening => "stopped_listening",
            Self::AddressInUse => "address_in_use",
        }
    }
}
