//! What a watch may be shown: connections, each with its records in their order, and looks in between.

pub(crate) mod hostile;

use std::net::Ipv4Addr;

use proptest::prelude::*;
use tcptrace_core::{
    diagnosis::detect::{Detectors, Options, Sample, Seen, Thresholds},
    model::{
        close::{Cause, Closing, Role},
        event::Event,
        finding::Finding,
        flow::{Endpoint, Flow},
        half_open::{End, Source, What},
        namespace::NamespaceSample,
        owner::{Owner, Provenance},
        socket::{Info, Kind, Socket, Timer, TimerKind},
        state::State,
        transition::{Origin, Transition},
        who::Who,
    },
};

use crate::common::scans::INFO;
use crate::common::shown::{Show as _, Shown};
use crate::common::{Moved as _, by_process, comm, event, half_open};

/// Thresholds under which one is too many; those of a scan; the usual ones; and the greatest.
const THRESHOLDS: [&str; 4] = [
    "[close-wait-leak]\ncount = 1\n[stuck]\ncount = 1\n[syn-flood]\nhalf_open = 1\nnever_completed = 0.0\nsources = 1\n\
     [failed-connects]\ncount = 1\nshare = 0.0\n[outbound-scan]\ndestinations = 1000\n[phantom-established]\ncount = 1\n\
     [reset-storm]\ncount = 1\nshare = 0.0\n[nobody-accepts]\nage_s = 0\n[stalled]\nage_s = 0\ncount = 1\n",
    "[outbound-scan]\ndestinations = 2\nfailed = 0.0\n",
    "",
    "[close-wait-leak]\nage_s = 9223372036854775807\n[stuck]\nage_s = 9223372036854775807\n\
     [phantom-established]\nidle_s = 9223372036854775807\n[nobody-accepts]\nage_s = 9223372036854775807\n\
     [stalled]\nage_s = 9223372036854775807\n",
];

/// Those under which one is too many.
pub(crate) const LOW: usize = 0;

pub(crate) fn detectors(thresholds: usize) -> Detectors {
    let thresholds = Thresholds::parse(THRESHOLDS[thresholds]).unwrap();
    Detectors::new(Options { thresholds, ..Options::default() })
}

/// What is found in these at the end.
pub(crate) fn found<'a>(thresholds: usize, records: impl IntoIterator<Item = &'a Shown>) -> Vec<Finding> {
    let mut detectors = detectors(thresholds);
    records.into_iter().for_each(|record| detectors.show(record));
    detectors.findings()
}

/// Between two scans: connections, and what the second one shows.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) connections: Vec<Vec<Shown>>,
    pub(crate) scan: Sample,
}

impl Interval {
    /// One connection after the other.
    pub(crate) fn in_a_row(&self) -> Vec<Shown> {
        let scan = Shown::Sample(Box::new(self.scan.clone()));
        self.connections.iter().flatten().cloned().chain([scan]).collect()
    }

    /// Interleaved as chosen, each in its own order; the scan in another order as well.
    pub(crate) fn interleaved(&self, choices: &[usize]) -> Vec<Shown> {
        let mut left: Vec<_> = self.connections.iter().map(|records| records.iter()).collect();
        let mut out = Vec::new();
        let mut choices = choices.iter().cycle();
        while !left.is_empty() {
            let chosen = choices.next().copied().unwrap_or(0) % left.len();
            match left[chosen].next() {
                Some(record) => out.push(record.clone()),
                None => drop(left.remove(chosen)),
            }
        }
        let mut scan = self.scan.clone();
        scan.sockets.reverse();
        out.push(Shown::Sample(Box::new(scan)));
        out
    }
}

pub(crate) fn intervals() -> impl Strategy<Value = Vec<Interval>> {
    let connection = (0_usize..8, 0_u8..3, 1_u32..4, 0_usize..CAUSES.len());
    let connection =
        connection.prop_map(|(kind, end, pid, cause)| connection_of(kind, end, pid, CAUSES[cause]));
    let seen = (0_usize..STATES.len(), 0_u8..6, 1_u32..4, 0_u64..100)
        .prop_map(|(state, number, pid, age_s)| seen(STATES[state], number, pid, age_s));
    let interval = (prop::collection::vec(connection, 0..30), prop::collection::vec(seen, 0..30));
    let intervals = prop::collection::vec(interval, 1..4);
    intervals.prop_map(|intervals| {
        let scan = |(ktime_s, (connections, sockets))| {
            let namespaces = [(Some(1), NamespaceSample::default())].into();
            let scan =
                Sample { ktime_ns: ktime_s * SECOND, sockets, namespaces, unseen: None, ..Sample::default() };
            Interval { connections, scan }
        };
        (1..).zip(intervals).map(scan).collect()
    })
}

const SECOND: u64 = 1_000_000_000;

const CAUSES: [Cause; 8] = [
    Cause::Refused,
    Cause::ConnectTimeout,
    Cause::ConnectCancelled,
    Cause::NoLocalPort,
    Cause::ResetByPeer,
    Cause::ResetLinger,
    Cause::ResetByKernel,
    Cause::PassiveClose,
];

const STATES: [State; 9] = [
    State::LISTEN,
    State::ESTABLISHED,
    State::SYN_SENT,
    State::CLOSE_WAIT,
    State::FIN_WAIT1,
    State::FIN_WAIT2,
    State::LAST_ACK,
    State::CLOSING,
    State::TIME_WAIT,
];

/// The records of a connection with one of a few ends, each process with one name.
fn connection_of(kind: usize, end: u8, pid: u32, cause: Cause) -> Vec<Shown> {
    let remote = Ipv4Addr::new(198, 51, 100, end);
    let transition = |role, old, new, cause: Option<Cause>| {
        let event = event(1, 5 * SECOND, old, new).raddr(remote.into()).rport(443);
        let closing = cause
            .map(|cause| Box::new(Closing { cause: Some(cause), role: Some(role), ..Closing::default() }));
        transition(by_process(pid, b"client", event), pid, closing)
    };
    let (client, server) = (Role::Client, Role::Server);
    let connected = transition(client, State::SYN_SENT, State::ESTABLISHED, None);
    match kind {
        0..=2 => vec![transition(client, State::SYN_SENT, State::CLOSE, Some(cause))],
        3 | 4 => vec![connected, transition(client, State::ESTABLISHED, State::CLOSE, Some(cause))],
        5 => vec![transition(server, State::ESTABLISHED, State::CLOSE, Some(cause))],
        // Of several programs that want one port the last is named: here each has its own.
        6 => {
            let listen = event(1, 1, State::LISTEN, State::CLOSE).lport(8_000 + pid as u16);
            let closing = Closing { cause: Some(Cause::AddressInUse), ..Closing::default() };
            vec![self::transition(by_process(pid, b"client", listen), pid, Some(Box::new(closing)))]
        }
        _ => {
            let end = if cause == Cause::PassiveClose { End::Completed } else { End::TimedOut };
            let change = |what| Shown::HalfOpen(half_open(remote, what, pid.into()));
            vec![change(What::Begin(Source::Syn)), change(What::Retransmit), change(What::End(end))]
        }
    }
}

pub(crate) fn transition(event: Event, pid: u32, closing: Option<Box<Closing>>) -> Shown {
    let owner = Owner {
        pid,
        uid: 7,
        comm: comm(b"client"),
        provenance: Provenance::Exact,
        others: None,
        process: None,
    };
    Shown::Transition(Transition {
        event,
        in_old_state_ns: Some(2 * SECOND),
        at_least_ns: None,
        owner: Some(owner.into()),
        origin: Origin::Observed,
        closing,
    })
}

/// A socket of a scan; of a listener at one of two addresses.
pub(crate) fn seen(state: State, number: u8, pid: u32, age_s: u64) -> Seen {
    let listens = state == State::LISTEN;
    let lport =
        if [State::LISTEN, State::ESTABLISHED].contains(&state) { 80 } else { 40_000 + u16::from(number) };
    let silent_ms = if age_s > 50 { 90_000 } else { 5 };
    let info = Info {
        last_data_sent_ms: Some(silent_ms),
        last_data_recv_ms: Some(silent_ms),
        last_ack_recv_ms: Some(silent_ms),
        ..INFO
    };
    let socket = Socket {
        flow: Flow {
            netns: Some(1),
            local: Endpoint::new(Ipv4Addr::new(192, 0, 2, 1 + number % 2).into(), lport),
            remote: Endpoint::new(
                Ipv4Addr::new(198, 51, 100, number % 3).into(),
                if listens { 0 } else { 443 },
            ),
        },
        cookie: u64::from(number) + 1,
        kind: if state == State::TIME_WAIT { Kind::TimeWait } else { Kind::Full },
        state,
        uid: Some(7),
        inode: Some(u64::from(number) + 1),
        recv_queue: u32::from(number),
        send_queue: if state == State::CLOSE_WAIT { 0 } else { 5 },
        timer: Some(Timer { kind: TimerKind::On, expires_ms: 1, retransmits: number }),
        cgroup_id: None,
        mptcp: false,
        drops: None,
        info: Some(info),
        age_at_least_ns: Some(age_s * SECOND),
        ifindex: None,
        device: None,
        transparent: None,
    };
    let owner = Who { pid, comm: b"client".to_vec(), process: None };
    Seen::new(socket, vec![owner])
}
