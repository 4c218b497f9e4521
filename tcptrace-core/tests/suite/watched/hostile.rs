//! What no kernel says, but a damaged or forged capture may.

use std::sync::Arc;

use proptest::prelude::*;
use tcptrace_core::{
    diagnosis::detect::{Sample, Seen},
    model::{
        close::{Cause, Closing, Role},
        half_open::{Change, End, Source, What},
        limits::Limits,
        namespace::NamespaceSample,
        process::Process,
        socket::{Kind, Timer, TimerKind},
        state::State,
        who::Who,
    },
};

use super::{seen, transition};
use crate::common::shown::Shown;
use crate::common::{Moved as _, comm, event, half_open};

/// What each finding rests on by the kernel's counters.
const COUNTERS: [&str; 6] = [
    "ListenOverflows",
    "ListenDrops",
    "SyncookiesSent",
    "TCPReqQFullDoCookies",
    "TCPReqQFullDrop",
    "TCPTimeWaitOverflow",
];

/// Any number, and often one at an end.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0_u64..100, any::<u64>()]
}

/// Bytes that a terminal may obey.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"\x1b[2J\r\n\x07`|<b>".to_vec()), prop::collection::vec(any::<u8>(), 0..15)]
}

/// Known states mostly, at few places, so that they pile up.
fn state() -> impl Strategy<Value = State> {
    prop_oneof![3 => 1_u8..13, 1 => any::<u8>()].prop_map(State)
}

fn who(pid: u32, name: Vec<u8>) -> Who {
    let text = String::from_utf8_lossy(&name).into_owned();
    let process = Process {
        pid,
        start_ticks: 1,
        comm: name.clone(),
        exe: Some(name),
        exe_deleted: true,
        uid: 7,
        unit: Some(text),
        container: None,
        netns: Some(1),
    };
    Who::of_holder(pid, Some(&Arc::new(process)))
}

fn hostile_transition() -> impl Strategy<Value = Shown> {
    let cause = (0..Cause::ALL.len()).prop_map(|number| Cause::ALL[number]);
    let states = (prop_oneof![Just(State::SYN_SENT), state()], prop_oneof![Just(State::CLOSE), state()]);
    (number(), states, prop::option::of(cause), 0_u32..3, bytes(), 0_u8..3).prop_map(
        |(ktime_ns, (old, new), cause, pid, name, end)| {
            let reset_reason = Some(Arc::from(String::from_utf8_lossy(&name)));
            let role = if end == 0 { Role::Server } else { Role::Client };
            let closing = Closing {
                cause,
                reset_reason,
                role: Some(role),
                life_ns: Some(u64::MAX),
                ..Closing::default()
            };
            let event = event(1, ktime_ns, old, new).rport(u16::from(end));
            let record = transition(event, pid, Some(Box::new(closing)));
            let Shown::Transition(mut transition) = record else { unreachable!("it is one") };
            if let Some(owner) = &mut transition.owner {
                Arc::make_mut(owner).comm = comm(&name);
            }
            Shown::Transition(transition)
        },
    )
}

fn hostile_half_open() -> impl Strategy<Value = Shown> {
    let ends = [End::Completed, End::TimedOut, End::Dropped, End::Unknown];
    (number(), number(), 0_usize..6, any::<u8>()).prop_map(move |(ktime_ns, open, what, peer)| {
        let what = match what {
            0 => What::Begin(Source::Poll),
            1 => What::Retransmit,
            end => What::End(ends[end - 2]),
        };
        let change = half_open([198, 51, 100, peer], what, open);
        Shown::HalfOpen(Change { ktime_ns, age_ns: Some(ktime_ns), ..change })
    })
}

fn hostile_seen() -> impl Strategy<Value = Seen> {
    let timer = (any::<u8>(), any::<u8>()).prop_map(|(kind, retransmits)| {
        let kinds = [TimerKind::On, TimerKind::Keepalive, TimerKind::Persist, TimerKind::Other(kind)];
        Timer { kind: kinds[usize::from(kind % 4)], expires_ms: u32::MAX, retransmits }
    });
    let sizes = (any::<u32>(), any::<u32>(), prop::option::of(any::<u32>()));
    (state(), 0_u8..6, 0_u32..3, bytes(), prop::option::of(number()), timer, sizes).prop_map(
        |(state, number, pid, name, age_ns, timer, (recv_queue, send_queue, drops))| {
            let Seen { mut socket, .. } = seen(state, number, pid, 60);
            (socket.age_at_least_ns, socket.timer) = (age_ns, Some(timer));
            (socket.recv_queue, socket.send_queue, socket.drops) = (recv_queue, send_queue, drops);
            socket.kind = [Kind::Full, Kind::Request, Kind::TimeWait][usize::from(number % 3)];
            Seen::new(socket, vec![who(pid, name)])
        },
    )
}

fn hostile_sample() -> impl Strategy<Value = Shown> {
    let limits = (any::<(u16, u16)>(), number(), number(), number(), number());
    let namespace = (limits, prop::collection::vec(number(), COUNTERS.len())).prop_map(|(limits, counts)| {
        let (ports, max_tw_buckets, fin_timeout_s, max_syn_backlog, syncookies) = limits;
        let some = Some(max_tw_buckets);
        let limits = Limits {
            ports,
            max_tw_buckets,
            fin_timeout_s,
            max_syn_backlog,
            syncookies,
            tw_reuse: some,
            timestamps: some,
            abort_on_overflow: None,
            max_orphans: some,
            somaxconn: some,
            reserved_ports: max_syn_backlog,
        };
        let counters = COUNTERS.iter().map(|name| (*name).to_owned()).zip(counts).collect();
        NamespaceSample { counters, limits, ..NamespaceSample::default() }
    });
    let sockets = prop::collection::vec(hostile_seen(), 0..20);
    (number(), sockets, namespace).prop_map(|(ktime_ns, sockets, namespace)| {
        let namespaces = [(Some(1), namespace)].into();
        Shown::Sample(Box::new(Sample { ktime_ns, sockets, namespaces, unseen: None, ..Sample::default() }))
    })
}

pub(crate) fn records() -> impl Strategy<Value = Vec<Shown>> {
    let one = prop_oneof![3 => hostile_transition(), 2 => hostile_half_open(), 2 => hostile_sample()];
    prop::collection::vec(one, 1..30)
}
