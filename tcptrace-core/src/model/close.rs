//! How a connection ended.

use std::sync::Arc;

use crate::model::{errno::Errno, state::State};

/// Conclusions about the end of a connection, beyond the kernel's own facts; part of its transition to CLOSE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// Why it ended; `None` when the evidence is not enough.
    pub cause: Option<Cause>,
    /// The kernel's reason for the reset that this side sent, `sk_rst_reason` in lower case (Linux 6.10).
    pub reset_reason: Option<Arc<str>>,
    /// Whether this side sent the reset of that moment, rather than received it; `None` when there was no reset, or when
    /// resets are not seen.
    pub reset_sent: Option<bool>,
    /// For a received reset: the peer that sent it is known to be a socket of this host. The end of that socket reports the
    /// same.
    pub peer_is_here: bool,
    /// The role of the socket; `None` when its beginning was not seen.
    pub role: Option<Role>,
    /// Segments that were sent again, counted one by one; `None` when they were not counted, or not from the beginning.
    pub retransmits: Option<u32>,
    /// Nanoseconds from its first transition; `None` when that was not seen.
    pub life_ns: Option<u64>,
    /// Nanoseconds in each state that the socket left: each state once, in order, without states whose beginning was not
    /// seen.
    pub states: Vec<(State, u64)>,
}

/// The role of a socket.
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
    /// Its name in all outputs.
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
    /// `close()` with `SO_LINGER` and a time of 0, which resets; in FIN_WAIT2 also with a `TCP_LINGER2` below 0.
    ResetLinger,
    /// `close()` while received data was unread, which resets.
    ResetUnread,
    /// Reset by the program, by `connect()` to `AF_UNSPEC`.
    ResetDisconnect,
    /// Reset by the kernel: data for a closed socket, or lack of memory.
    ResetByKernel,
    /// Closed under `TCP_REPAIR`, as a checkpoint does: nothing is sent, and the peer learns nothing.
    RepairClose,
    /// Destroyed from outside, as `ss -K` does.
    Killed,
    /// The SYN was answered with a reset, or with an ICMP port unreachable, as a firewall may reject.
    Refused,
    /// No answer to the SYN.
    ConnectTimeout,
    /// No route to the host, no neighbour with its address, or a filter that prohibits it (`EHOSTUNREACH`; `EACCES` by
    /// ICMPv6).
    HostUnreachable,
    /// No route to the network (`ENETUNREACH`).
    NetUnreachable,
    /// The program gave up before the connection was established.
    ConnectCancelled,
    /// `connect()` found no free local port (`EADDRNOTAVAIL`).
    NoLocalPort,
    /// `connect()` of a socket that was bound to its port found another socket with the same four ends (`EADDRNOTAVAIL`).
    EndsInUse,
    /// The peer answered no keepalive probe.
    KeepaliveTimeout,
    /// The time of `TCP_USER_TIMEOUT` passed without an acknowledgement.
    UserTimeout,
    /// Retransmissions, or probes of a closed window, were not acknowledged.
    RetransmissionTimeout,
    /// The listener was closed before a program accepted the connection.
    ListenerClosed,
    /// No connection: a second child of one request, made by another CPU at the same moment and thrown away.
    SecondChild,
    /// A listener, closed by its program.
    StoppedListening,
    /// `listen()` found the address in use (`EADDRINUSE`).
    AddressInUse,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 25] = [
        Self::ActiveClose,
        Self::PassiveClose,
        Self::SimultaneousClose,
        Self::ProcessExited,
        Self::ResetByPeer,
        Self::ResetLinger,
        Self::ResetUnread,
        Self::ResetDisconnect,
        Self::ResetByKernel,
        Self::RepairClose,
        Self::Killed,
        Self::Refused,
        Self::ConnectTimeout,
        Self::HostUnreachable,
        Self::NetUnreachable,
        Self::ConnectCancelled,
        Self::NoLocalPort,
        Self::EndsInUse,
        Self::KeepaliveTimeout,
        Self::UserTimeout,
        Self::RetransmissionTimeout,
        Self::ListenerClosed,
        Self::SecondChild,
        Self::StoppedListening,
        Self::AddressInUse,
    ];

    /// Its name in JSON and CSV.
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
            Self::RepairClose => "repair_close",
            Self::Killed => "killed",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
            Self::ConnectCancelled => "connect_cancelled",
            Self::NoLocalPort => "no_local_port",
            Self::EndsInUse => "ends_in_use",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::UserTimeout => "user_timeout",
            Self::RetransmissionTimeout => "retransmission_timeout",
            Self::ListenerClosed => "listener_closed",
            Self::SecondChild => "second_child",
            Self::StoppedListening => "stopped_listening",
            Self::AddressInUse => "address_in_use",
        }
    }

    /// Its text for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ActiveClose => "closed here first",
            Self::PassiveClose => "peer closed first",
            Self::SimultaneousClose => "both closed at once",
            Self::ProcessExited => "process ended",
            Self::ResetByPeer => "reset by peer",
            Self::ResetLinger => "reset here: linger 0",
            Self::ResetUnread => "reset here: unread data",
            Self::ResetDisconnect => "reset here: disconnected",
            Self::ResetByKernel => "reset here: by kernel",
            Self::RepairClose => "closed under TCP_REPAIR",
            Self::Killed => "killed from outside",
            Self::Refused => "refused",
            Self::ConnectTimeout => "no answer",
            Self::HostUnreachable => "host unreachable",
            Self::NetUnreachable => "network unreachable",
            Self::ConnectCancelled => "gave up connecting",
            Self::NoLocalPort => "no free local port",
            Self::EndsInUse => "these ends in use",
            Self::KeepaliveTimeout => "keepalive unanswered",
            Self::UserTimeout => "user timeout",
            Self::RetransmissionTimeout => "data unanswered",
            Self::ListenerClosed => "never accepted",
            Self::SecondChild => "second child, dropped",
            Self::StoppedListening => "stopped listening",
            Self::AddressInUse => "address in use",
        }
    }

    /// Whether the end may need attention, since it was not in good order.
    pub const fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::ActiveClose
                | Self::PassiveClose
                | Self::SimultaneousClose
                | Self::ProcessExited
                | Self::RepairClose
                | Self::SecondChild
                | Self::StoppedListening
        )
    }

    /// Whether the name of the socket's error states the same.
    pub fn is_said_by(self, error: i32) -> bool {
        let errno = match self {
            Self::ResetByPeer => Errno::ECONNRESET,
            Self::Refused => Errno::ECONNREFUSED,
            Self::HostUnreachable => Errno::EHOSTUNREACH,
            Self::NetUnreachable => Errno::ENETUNREACH,
            _ => return false,
        };
        Errno(error) == errno
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_cause_has_its_own_words() {
        let names: HashSet<_> = Cause::ALL.map(Cause::name).into();
        let texts: HashSet<_> = Cause::ALL.map(Cause::text).into();
        assert_eq!((names.len(), texts.len()), (Cause::ALL.len(), Cause::ALL.len()));
        assert!(texts.iter().all(|text| text.len() <= 24), "short enough for a line: {texts:?}");
    }

    #[test]
    fn only_what_the_errno_says_is_left_out() {
        assert!(Cause::ResetByPeer.is_said_by(104));
        assert!(!Cause::ResetByPeer.is_said_by(32), "EPIPE does not say who broke it");
        assert!(!Cause::KeepaliveTimeout.is_said_by(110));
        assert!(Cause::ALL.iter().all(|cause| !cause.is_said_by(0)));
    }
}
