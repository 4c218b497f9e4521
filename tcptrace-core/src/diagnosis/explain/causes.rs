//! The meaning of each cause, and the evidence for it. `docs/output.md` has the same as a table; a test compares.

use crate::model::close::Cause;

/// A cause in the words of its page.
pub(super) struct Page {
    /// The cause.
    pub(super) cause: Cause,
    /// Its meaning.
    pub(super) meaning: &'static str,
    /// The evidence for it.
    pub(super) evidence: &'static str,
}

const fn page(cause: Cause, meaning: &'static str, evidence: &'static str) -> Page {
    Page { cause, meaning, evidence }
}

/// The pages of all causes.
pub(super) const PAGES: [Page; 25] = [
    page(Cause::ActiveClose, "This side closed first, with a FIN", "FIN_WAIT2 -> CLOSE, no error"),
    page(Cause::PassiveClose, "The peer closed first, with a FIN", "LAST_ACK -> CLOSE, no error"),
    page(
        Cause::SimultaneousClose,
        "Both sides closed, before either had received the other's FIN",
        "CLOSING -> CLOSE, no error",
    ),
    page(
        Cause::ProcessExited,
        "The process ended, or was killed, with the socket open; the kernel closed or reset the connection",
        "the first transition towards the end ran in a process that was ending",
    ),
    page(Cause::ResetByPeer, "The peer sent a reset", "`ECONNRESET`; from CLOSE_WAIT `EPIPE`"),
    page(
        Cause::ResetLinger,
        "`close()` with `SO_LINGER` 0; in FIN_WAIT2 also with a `TCP_LINGER2` below 0",
        "a reset was sent in a system call, closed, `SO_LINGER` 0 and no unread data; or the kernel's reason",
    ),
    page(
        Cause::ResetUnread,
        "`close()` while received data was unread",
        "a reset was sent in a system call, closed, unread data; or the kernel's reason",
    ),
    page(
        Cause::ResetDisconnect,
        "`connect()` to `AF_UNSPEC`",
        "a reset was sent in a system call, not closed",
    ),
    page(
        Cause::ResetByKernel,
        "Data arrived after the program had closed, or the kernel gave up because memory was short",
        "a reset was sent at that moment, outside of a system call; or the kernel's reason",
    ),
    page(
        Cause::RepairClose,
        "A checkpoint (CRIU) took the connection out of the kernel: it sent nothing, and the peer does not know",
        "in a system call, `TCP_REPAIR` on",
    ),
    page(
        Cause::Killed,
        "`ss -K`, or another privileged program, destroyed the socket",
        "`ECONNABORTED`; for a listener, the kernel closes it again with this error in that call",
    ),
    page(
        Cause::Refused,
        "The peer answered the SYN by a reset because no process listens there; or a firewall rejected the SYN, by a reset or an ICMP port unreachable",
        "SYN_SENT, `ECONNREFUSED`",
    ),
    page(Cause::ConnectTimeout, "No answer to the SYN arrived", "SYN_SENT, `ETIMEDOUT`"),
    page(
        Cause::HostUnreachable,
        "No neighbour has that address, or a router or filter reports this",
        "`EHOSTUNREACH`, or `EACCES` (ICMPv6: prohibited), also when it came before a timeout",
    ),
    page(Cause::NetUnreachable, "A router reports this", "`ENETUNREACH`, also when it came before a timeout"),
    page(
        Cause::ConnectCancelled,
        "The program closed before there was an answer, usually at its own time limit; or, with `TCP_FASTOPEN_CONNECT`, before it sent anything",
        "SYN_SENT, in a system call, no error, and a SYN was sent, or the socket was closed, or the SYN was left to the first write",
    ),
    page(
        Cause::NoLocalPort,
        "The kernel had no local port left; the program gets `EADDRNOTAVAIL`",
        "SYN_SENT, in a system call other than `close()`, no error, no local port, and no segment was ever sent",
    ),
    page(
        Cause::EndsInUse,
        "The program bound the socket to a port that another connection to this remote address and port uses; the program gets `EADDRNOTAVAIL`",
        "SYN_SENT, in a system call other than `close()`, no error, bound, and no initial sequence number was chosen",
    ),
    page(
        Cause::KeepaliveTimeout,
        "The peer answered no keepalive probe",
        "`ETIMEDOUT`, probes were outstanding",
    ),
    page(
        Cause::UserTimeout,
        "The time of `TCP_USER_TIMEOUT` passed",
        "`ETIMEDOUT`, `TCP_USER_TIMEOUT` is set",
    ),
    page(
        Cause::RetransmissionTimeout,
        "The peer acknowledged no retransmission, or no probe of a closed window",
        "`ETIMEDOUT`, retransmissions were outstanding, or probes and unsent data",
    ),
    page(
        Cause::ListenerClosed,
        "The listener closed before a process accepted the connection",
        "a server's socket, no error; that thread closed the listener in that call",
    ),
    page(
        Cause::SecondChild,
        "No connection: two CPUs each had a packet of one request, both made a child socket of it, and the kernel dropped the later one; the other goes on",
        "SYN_RECV -> CLOSE of a server's socket, no error, no process of its own, and its port was not given back",
    ),
    page(
        Cause::StoppedListening,
        "The process that has the listener closed it or shut it down",
        "LISTEN -> CLOSE, closed; or it has listened, and the acting process is known to have it",
    ),
    page(
        Cause::AddressInUse,
        "`listen()` failed with `EADDRINUSE`",
        "LISTEN -> CLOSE of a socket that never was among the listeners (`SOCK_RCU_FREE`)",
    ),
];
