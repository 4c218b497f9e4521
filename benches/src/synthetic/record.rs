//! One end of a connection, and the bytes of its transitions.

use tcptrace_common::{
    AF_INET, Address, CloseEvidence, CloseMetrics, EvidenceFlags, KIND_TRANSITION, RecordFlags,
};

const IPPROTO_TCP: u8 = 6;
/// The address of the first socket. The others follow without gaps.
const SOCKETS: u64 = 0xffff_8880_0000_0000;
/// Bytes of a socket: more than `struct tcp_sock` has on any kernel.
const SOCKET_BYTES: u64 = 2_560;
/// Clients that share an address.
const PORTS: u32 = 60_000;
const FIRST_PORT: u16 = 1_024;
/// The server's port.
const SERVICE: u16 = 443;
/// The inode of the first network namespace on any host.
const NETNS: u32 = 4_026_531_833;
const CGROUP: u64 = 4_711;

/// An end of the connection with this number; both ends are sockets of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The number of the connection, up to fifteen million.
    pub connection: u32,
    /// Whether the end accepted, as opposed to connected.
    pub is_server: bool,
}

/// A transition of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// State before, `include/net/tcp_states.h`.
    pub old: u8,
    /// State after.
    pub new: u8,
    /// Whether a system call of the end's process made it, as opposed to a packet.
    pub is_call: bool,
}

/// `TCP_CLOSE`.
const CLOSE: u8 = 7;

impl End {
    /// Appends the record of a transition at this time, in nanoseconds of `CLOCK_MONOTONIC`, field by field: a
    /// `TransitionRecord`, or for CLOSE a `ClosingRecord`.
    pub fn record(self, step: Step, ktime_ns: u64, bytes: &mut Vec<u8>) {
        let is_closing = step.new == CLOSE;
        let mut flags = RecordFlags::LOCK_KNOWN | RecordFlags::ERROR;
        if step.is_call {
            flags |= RecordFlags::LOCK_OWNED;
        }
        if is_closing {
            flags |= RecordFlags::CLOSING;
        }
        let (pid, comm) = self.context(step.is_call);
        let ((laddr, lport), (raddr, rport)) = self.ends();
        bytes.extend(KIND_TRANSITION.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(NETNS.to_ne_bytes());
        let socket = 2 * u64::from(self.connection) + u64::from(self.is_server);
        for word in [ktime_ns, 0, SOCKETS + SOCKET_BYTES * socket, 1 + socket, CGROUP] {
            bytes.extend(word.to_ne_bytes());
        }
        // Process, thread, user, and no error.
        for word in [pid, pid, 1_000, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([u8::try_from(AF_INET).unwrap_or_default(), IPPROTO_TCP]);
        bytes.extend(lport.to_ne_bytes());
        bytes.extend(rport.to_ne_bytes());
        bytes.extend([step.old, step.new]);
        bytes.extend(laddr.octets());
        bytes.extend(raddr.octets());
        bytes.extend(comm);
        if is_closing {
            closing(bytes);
        }
    }

    fn context(self, is_call: bool) -> (u32, [u8; 16]) {
        match (is_call, self.is_server) {
            (true, true) => (812, *b"server\0\0\0\0\0\0\0\0\0\0"),
            (true, false) => (4_000, *b"client\0\0\0\0\0\0\0\0\0\0"),
            (false, _) => (0, *b"swapper/1\0\0\0\0\0\0\0"),
        }
    }

    /// The local and the remote end, with documentation addresses.
    fn ends(self) -> ((Address, u16), (Address, u16)) {
        let server = (Address::from_v4([192, 0, 2, 1]), SERVICE);
        let host = u8::try_from(1 + self.connection / PORTS).unwrap_or(u8::MAX);
        let port = FIRST_PORT + u16::try_from(self.connection % PORTS).unwrap_or_default();
        let client = (Address::from_v4([203, 0, 113, host]), port);
        if self.is_server { (server, client) } else { (client, server) }
    }
}

/// The part of a `ClosingRecord` after the transition: a connection that has carried data, and ended by FINs.
fn closing(bytes: &mut Vec<u8>) {
    let metrics = CloseMetrics { bytes_acked: 1_234, bytes_received: 56_789, srtt_us: 412, retransmits: 0 };
    let evidence =
        CloseEvidence { segs_out: 12, flags: EvidenceFlags::DONE, shutdown: 3, ..CloseEvidence::default() };
    bytes.extend(metrics.bytes_acked.to_ne_bytes());
    bytes.extend(metrics.bytes_received.to_ne_bytes());
    for word in [
        metrics.srtt_us,
        metrics.retransmits,
        evidence.user_timeout_ms,
        evidence.segs_out,
        evidence.unsent,
        evidence.unread,
    ] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend([evidence.flags, evidence.shutdown, evidence.retransmits, evidence.probes_out]);
    bytes.extend(evidence.facts.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use tcptrace_core::{
        model::{
            event::{Event, Observed},
            state::State,
        },
        pipeline::decode::{decode, records},
    };

    use super::*;

    fn event(end: End, step: Step) -> Event {
        let mut bytes = Vec::new();
        end.record(step, 5, &mut bytes);
        assert_eq!(records(&bytes).count(), 1);
        match decode(&bytes) {
            Ok(Observed::Transition(event)) => event,
            other => panic!("no transition: {other:?}"),
        }
    }

    #[test]
    fn the_library_understands_them() {
        let end = End { connection: 60_001, is_server: true };
        let accepted = event(end, Step { old: 3, new: 1, is_call: false });
        assert_eq!((accepted.ktime_ns, accepted.cookie), (5, 120_004));
        assert_eq!((accepted.old_state, accepted.new_state), (State::SYN_RECV, State::ESTABLISHED));
        assert_eq!((accepted.flow.local.port, accepted.flow.remote.port), (SERVICE, FIRST_PORT + 1));
        assert_eq!(accepted.flow.remote.address.to_string(), "203.0.113.2");
        assert!(!accepted.context_owns && accepted.metrics.is_none());
        let closed = event(end, Step { old: 9, new: CLOSE, is_call: false });
        assert_eq!(closed.metrics.map(|metrics| metrics.bytes_received), Some(56_789));
        assert_eq!(closed.evidence.map(|evidence| evidence.segs_out), Some(12));
    }

    #[test]
    fn a_call_is_its_process_own() {
        let end = End { connection: 0, is_server: false };
        let begun = event(end, Step { old: CLOSE, new: 2, is_call: true });
        assert!(begun.context_owns);
        assert_eq!(begun.context.pid, 4_000);
        let other = event(End { is_server: true, ..end }, Step { old: 3, new: 1, is_call: false });
        assert_eq!(begun.flow.local, other.flow.remote);
        assert_ne!(begun.skaddr, other.skaddr);
    }
}
