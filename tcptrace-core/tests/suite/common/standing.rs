//! Made-up connections that stand still, or seem to.

use std::net::{IpAddr, Ipv4Addr};

use tcptrace_core::{
    diagnosis::detect::{Sample, Seen},
    model::{
        finding::Finding,
        socket::{Info, Timer, TimerKind},
        state::State,
    },
};

use super::scans::{self, INFO, SECOND, socket};

/// But for listeners, which are new in each test.
pub(crate) fn findings(scans: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let all = scans::findings(scans).into_iter();
    all.filter(|finding| finding.id != "unexpected-listener").collect()
}

/// The other end of a connection, of process `pid`.
pub(crate) fn other_end(of: &Seen, state: State, pid: u32) -> Seen {
    let mut other = socket(state, 0, pid);
    other.socket.cookie = of.socket.cookie + 1_000;
    other.socket.info = of.socket.info;
    (other.socket.flow.local.address, other.socket.flow.local.port) =
        (of.socket.flow.remote.address, of.socket.flow.remote.port);
    (other.socket.flow.remote.address, other.socket.flow.remote.port) =
        (of.socket.flow.local.address, of.socket.flow.local.port);
    other
}

/// A connection of the server 192.0.2.1:80 on which nothing was sent or received for so long.
pub(crate) fn still(number: u16, state: State, ms: u32) -> Seen {
    let mut seen = socket(state, number, 7);
    seen.socket.info = Some(Info {
        last_data_sent_ms: Some(ms),
        last_data_recv_ms: Some(ms),
        last_ack_recv_ms: Some(ms),
        ..INFO
    });
    seen
}

pub(crate) fn listener() -> Seen {
    let mut seen = socket(State::LISTEN, 999, 7);
    seen.socket.flow.remote.port = 0;
    seen
}

/// Its data waits for the peer's window.
pub(crate) fn blocked(mut seen: Seen) -> Seen {
    seen.socket.send_queue = 1_000_000;
    seen.socket.timer = Some(Timer { kind: TimerKind::Persist, expires_ms: 1, retransmits: 0 });
    seen
}

pub(crate) fn unread(mut seen: Seen, bytes: u32) -> Seen {
    seen.socket.recv_queue = bytes;
    seen.socket.info.as_mut().unwrap().bytes_received = 1_000_000;
    seen
}

pub(crate) fn pids(finding: &Finding) -> Vec<u32> {
    finding.owners.iter().map(|who| who.pid).collect()
}

pub(crate) const LONG: u32 = 30_000;

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connections of which the server sends and the client, process 900, does not read, or the other way round.
pub(crate) fn closed_windows(count: u16, server_reads: bool, ms: u32) -> Vec<Seen> {
    let pair = |number| {
        let server = still(number, State::ESTABLISHED, ms);
        let client = other_end(&server, State::ESTABLISHED, 900);
        if server_reads {
            [blocked(server), unread(client, 90_000)]
        } else {
            [unread(server, 90_000), blocked(client)]
        }
    };
    (0..count).flat_map(pair).chain([listener()]).collect()
}

/// Eight sockets whose peer has closed, for so many seconds; `asked` and `answered`: seconds since.
pub(crate) fn half_closed(age_s: u64, [asked_s, answered_s]: [u32; 2], bytes: u64) -> Vec<Seen> {
    let one = |number| {
        let mut seen = socket(State::CLOSE_WAIT, number, 7);
        seen.socket.age_at_least_ns = Some(age_s * SECOND);
        seen.socket.recv_queue = 1;
        seen.socket.info = Some(Info {
            last_data_recv_ms: Some(asked_s * 1_000),
            last_data_sent_ms: Some(answered_s * 1_000),
            bytes_received: bytes,
            ..INFO
        });
        seen
    };
    (0..8).map(one).chain([listener()]).collect()
}
