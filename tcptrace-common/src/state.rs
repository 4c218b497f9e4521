//! TCP states by the kernel's numbers, `include/net/tcp_states.h`.

/// Data can flow (RFC 9293: ESTABLISHED).
pub const TCP_ESTABLISHED: u8 = 1;
/// `connect()` has sent its SYN.
pub const TCP_SYN_SENT: u8 = 2;
/// A child socket between its creation at the final ACK and ESTABLISHED.
pub const TCP_SYN_RECV: u8 = 3;
/// No connection.
pub const TCP_CLOSE: u8 = 7;
/// A server socket.
pub const TCP_LISTEN: u8 = 10;

/// Names by number, without the kernel's `TCP_` prefix. The kernel uses 1 to 12; slot 0 is nobody's.
pub const STATE_NAMES: [&str; 13] = [
    "UNKNOWN",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];
