//! Looks at sockets, made up, and what the detectors find in them.

use std::{net::Ipv4Addr, sync::Arc};

use tcptrace_core::{
    diagnosis::detect::{Ages, Detectors, Options, Sample, Seen},
    model::{
        close::{Cause, Closing},
        finding::Finding,
        flow::{Endpoint, Flow},
        limits::Limits,
        namespace::NamespaceSample,
        process::Process,
        socket::{Info, Kind, Socket},
        state::State,
        transition::Transition,
        who::Who,
    },
    pipeline::tracker::{self, Tracker},
};

use super::shown::Shown;

use super::{Moved as _, by_process, event};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A name that would do harm on a terminal and in a ticket.
pub(crate) const HOSTILE: &[u8] = b"\x1b[2J`x`|<b>\n";

pub(crate) fn who(pid: u32) -> Who {
    let process = Process {
        pid,
        start_ticks: 1,
        comm: HOSTILE.to_vec(),
        exe: Some(b"/tmp/\x1b[31m".to_vec()),
        exe_deleted: true,
        uid: 7,
        unit: Some("a\u{1b}b.service".to_owned()),
        container: None,
        netns: Some(1),
    };
    Who::of_holder(pid, Some(&Arc::new(process)))
}

/// A socket of process `pid`, without an age of its own.
pub(crate) fn socket(state: State, number: u16, pid: u32) -> Seen {
    let socket = Socket {
        flow: Flow {
            netns: Some(1),
            local: Endpoint::new("192.0.2.1".parse().unwrap(), 80),
            remote: Endpoint::new("198.51.100.7".parse().unwrap(), 10_000 + number),
        },
        cookie: u64::from(number) + 1,
        kind: Kind::Full,
        state,
        uid: Some(7),
        inode: Some(u64::from(number) + 1),
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
    };
    Seen::new(socket, vec![who(pid)])
}

pub(crate) const INFO: Info = Info {
    srtt_us: None,
    unacked: 0,
    total_retrans: 0,
    last_data_sent_ms: Some(0),
    last_data_recv_ms: Some(0),
    last_ack_recv_ms: Some(0),
    bytes_acked: 0,
    bytes_received: 0,
    notsent_bytes: 0,
    snd_wnd: 0,
    bytes_sent: None,
    bytes_retrans: None,
};

pub(crate) fn scan(at_s: u64, sockets: Vec<Seen>) -> Sample {
    Sample { ktime_ns: at_s * SECOND, sockets, ..Sample::default() }
}

pub(crate) fn findings(scans: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let (mut detectors, mut ages) = (Detectors::new(Options::default()), Ages::default());
    for mut scan in scans {
        ages.apply(&mut scan);
        detectors.sample(&scan);
    }
    detectors.findings()
}

/// A connection to the end 198.51.100.`end`:443, of process `pid`, that ended so.
pub(crate) fn ended(cause: Cause, end: u8, pid: u32, reset_reason: Option<&str>) -> Shown {
    let event = event(1, SECOND, State::SYN_SENT, State::CLOSE);
    // Who found no port has none.
    let lport = if cause == Cause::NoLocalPort { 0 } else { event.flow.local.port };
    let event = event.netns(Some(1)).lport(lport).raddr(Ipv4Addr::new(198, 51, 100, end).into()).rport(443);
    let mut tracker = Tracker::new(tracker::Options::default());
    let mut transitions = Vec::new();
    tracker.track(&mut Transition::of(by_process(pid, b"client", event)), |transition| {
        transitions.push(transition.clone());
    });
    let reset_reason = reset_reason.map(Arc::from);
    let closing = Closing { cause: Some(cause), reset_reason, ..Closing::default() };
    Shown::Transition(Transition { closing: Some(Box::new(closing)), ..transitions.remove(0) })
}

/// The findings of a kind.
pub(crate) fn of_kind(id: &str, scans: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    findings(scans).into_iter().filter(|finding| finding.id == id).collect()
}

/// A fact that a finding rests on, as text shows it.
pub(crate) fn evidence(finding: &Finding, name: &str) -> String {
    let one = finding.evidence.iter().find(|evidence| evidence.name == name);
    one.map_or_else(|| panic!("no {name} in {finding:#?}"), |evidence| evidence.value.to_string())
}

/// What a finding says to run.
pub(crate) fn commands(finding: &Finding) -> String {
    let commands: Vec<&str> = finding.next_steps.iter().filter_map(|step| step.command.as_deref()).collect();
    commands.join("\n")
}

/// A scan of namespace 1 with these counters and settings.
pub(crate) fn with_counters(scan: Sample, counters: &[(&str, u64)], limits: Limits) -> Sample {
    let counters = counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Sample {
        namespaces: [(Some(1), NamespaceSample { counters, limits, ..NamespaceSample::default() })].into(),
        ..scan
    }
}

/// A transition of process `pid` that ended its attempt at 198.51.100.`end`:`port`.
pub(crate) fn tried(cause: Cause, end: u8, port: u16, pid: u32) -> Shown {
    let Shown::Transition(mut transition) = ended(cause, end, pid, None) else { unreachable!() };
    transition.event.flow.remote.port = port;
    Shown::Transition(transition)
}
