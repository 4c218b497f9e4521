//! Detectors on made-up listeners: who has an address that another wants, and who listens that nobody expects.

use std::{net::IpAddr, sync::Arc};

use tcptrace_core::{
    diagnosis::detect::{Detectors, Expected, Options, Seen},
    model::{
        close::Cause,
        finding::{Finding, Level, Severity},
        owner::Owner,
        process::Process,
        socket::{Timer, TimerKind},
        state::State,
        who::Who,
    },
};

use crate::common::scans::{ended, scan, socket, who};
use crate::common::shown::Shown;

/// A socket at this address, port 53, of these processes.
fn at(state: State, address: &str, owners: &[(u32, &str)]) -> Seen {
    let mut seen = socket(state, 0, 0);
    (seen.socket.flow.local.address, seen.socket.flow.local.port) = (address.parse().unwrap(), 53);
    let who = |(pid, comm): &(u32, &str)| Who { pid: *pid, comm: comm.as_bytes().to_vec(), process: None };
    seen.owners = owners.iter().map(who).collect();
    seen
}

/// What is said of process 30, which cannot listen on this address, port 53.
fn cannot_listen(address: &str, sockets: Vec<Seen>) -> Finding {
    cannot_listen_by(None, address, sockets)
}

/// The same of what is known of it.
fn cannot_listen_by(process: Option<Arc<Process>>, address: &str, sockets: Vec<Seen>) -> Finding {
    let mut detectors =
        Detectors::new(Options { only: vec!["address-in-use".to_owned()], ..Options::default() });
    let Shown::Transition(mut failed) = ended(Cause::AddressInUse, 1, 30, None) else { unreachable!() };
    let address: IpAddr = address.parse().unwrap();
    (failed.event.flow.local.address, failed.event.flow.local.port) = (address, 53);
    (failed.event.old_state, failed.event.new_state) = (State::LISTEN, State::CLOSE);
    if let Some(owner) = &failed.owner {
        failed.owner = Some(Owner { process, ..Owner::clone(owner) }.into());
    }
    detectors.transition(&failed);
    detectors.sample(&scan(1, sockets));
    detectors.findings().remove(0)
}

#[test]
fn who_listens_on_another_address_has_not_taken_this_one() {
    let others = || {
        ["10.0.0.6", "127.0.0.53", "::1"]
            .map(|address| at(State::LISTEN, address, &[(2, "resolved")]))
            .into_iter()
    };
    for (wanted, taken) in [
        ("10.0.0.5", "10.0.0.5"),
        ("10.0.0.5", "0.0.0.0"),
        ("10.0.0.5", "::"),
        ("fd00::5", "fd00::5"),
        ("fd00::5", "::"),
    ] {
        let holder = at(State::LISTEN, taken, &[(7, "named")]);
        let found = cannot_listen(wanted, others().chain([holder]).collect());
        assert!(found.summary.ends_with(":53: named[7] listens there"), "{}", found.summary);
        assert_eq!(found.confidence.level, Level::High);
        assert_eq!(found.owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [30, 7]);
    }
    for (wanted, elsewhere) in [("10.0.0.5", "10.0.0.7"), ("fd00::5", "0.0.0.0")] {
        let holder = at(State::LISTEN, elsewhere, &[(7, "named")]);
        let found = cannot_listen(wanted, others().chain([holder]).collect());
        assert!(found.summary.ends_with("who had it is gone by now"), "{}", found.summary);
    }
    let found = cannot_listen("0.0.0.0", vec![at(State::LISTEN, "127.0.0.53", &[(7, "named")])]);
    assert!(found.summary.ends_with("named[7] listens there"), "any is that one as well: {}", found.summary);
}

/// Whoever tries again until it succeeds did not stand in its own way.
#[test]
fn who_listens_at_last_has_not_taken_it_from_itself() {
    let found = cannot_listen("10.0.0.5", vec![at(State::LISTEN, "10.0.0.5", &[(30, "dns"), (31, "dns")])]);
    assert!(found.summary.ends_with("by now it listens there itself"), "{}", found.summary);
    assert_eq!(found.owners.iter().map(|who| who.pid).collect::<Vec<_>>(), [30], "once");
    assert_eq!(found.confidence.level, Level::Medium, "who had it is not known");
    assert_eq!((found.severity, found.harm), (Severity::Info, None), "it listens");
}

/// A process that started at this time.
fn started(pid: u32, comm: &str, start_ticks: u64) -> Who {
    started_by(pid, comm, start_ticks, Some("/usr/sbin/dns"), None)
}

/// The same of this file, and this unit.
fn started_by(pid: u32, comm: &str, start_ticks: u64, exe: Option<&str>, unit: Option<&str>) -> Who {
    let comm = comm.as_bytes().to_vec();
    let process = Process {
        pid,
        start_ticks,
        comm,
        exe: exe.map(|exe| exe.as_bytes().to_vec()),
        exe_deleted: false,
        uid: 0,
        unit: unit.map(str::to_owned),
        container: None,
        netns: None,
    };
    Who::of_holder(pid, Some(&Arc::new(process)))
}

/// A service that is started again until it gets its port: one process after the other. An older one keeps it from it.
#[test]
fn a_restart_that_succeeds_at_last_harms_nobody() {
    let severity = |comm: &str, start_ticks| {
        let mut holder = at(State::LISTEN, "10.0.0.5", &[]);
        holder.owners = [started(40, comm, start_ticks)].into();
        let process = started(30, "dns", 1_000).process;
        cannot_listen_by(process, "10.0.0.5", vec![holder]).severity
    };
    assert_eq!(severity("dns", 2_000), Severity::Info);
    assert_eq!(severity("dns", 500), Severity::Warning, "an instance that was there before");
    assert_eq!(severity("other", 2_000), Severity::Warning, "another program");
}

/// Many programs are called `java`.
#[test]
fn a_name_alone_makes_no_restart() {
    let severity = |exe, unit| {
        let mut holder = at(State::LISTEN, "10.0.0.5", &[]);
        holder.owners = [started_by(40, "java", 2_000, exe, unit)].into();
        let failed = started_by(30, "java", 1_000, Some("/usr/bin/java"), Some("search.service"));
        cannot_listen_by(failed.process, "10.0.0.5", vec![holder]).severity
    };
    let java = Some("/usr/bin/java");
    assert_eq!(severity(java, Some("search.service")), Severity::Info);
    assert_eq!(severity(java, Some("queue.service")), Severity::Warning);
    assert_eq!(severity(java, None), Severity::Warning);
    assert_eq!(severity(Some("/opt/queue/bin/java"), Some("search.service")), Severity::Warning);
    assert_eq!(severity(None, Some("search.service")), Severity::Warning, "its file is not known");
}

/// `bind()` would have failed by these.
#[test]
fn what_waits_is_hardly_what_has_it() {
    let waits = |address| {
        let mut seen = at(State::TIME_WAIT, address, &[]);
        seen.socket.timer = Some(Timer { kind: TimerKind::TimeWait, expires_ms: 41_000, retransmits: 0 });
        seen
    };
    let found = cannot_listen("10.0.0.5", vec![waits("10.0.0.5"), waits("10.0.0.5"), waits("10.0.0.6")]);
    let said = "nobody listens there by now, 2 connections in TIME_WAIT for up to 41 s more";
    assert!(found.summary.ends_with(said), "{}", found.summary);
    assert_eq!(found.confidence.level, Level::Medium);
}

/// Whom of those that listen on port 53 nobody expects, by a name and a port, or a port.
fn unexpected(expected: &str, sockets: Vec<Seen>) -> Vec<u32> {
    let (comm, port) = expected.rsplit_once(':').map_or((None, expected), |(comm, port)| (Some(comm), port));
    let port = port.parse().unwrap();
    unexpected_by(Expected { comm: comm.map(str::to_owned), ports: port..=port }, sockets)
}

fn unexpected_by(expected: Expected, sockets: Vec<Seen>) -> Vec<u32> {
    let only = vec!["unexpected-listener".to_owned()];
    let expected = Some(vec![expected]);
    let mut detectors = Detectors::new(Options { only, expected, ..Options::default() });
    detectors.sample(&scan(1, sockets));
    detectors.findings().iter().flat_map(|found| &found.owners).map(|who| who.pid).collect()
}

/// The kernel keeps fifteen bytes of it.
#[test]
fn a_long_name_is_expected_by_what_the_kernel_keeps() {
    let listens = |comm| vec![at(State::LISTEN, "127.0.0.53", &[(7, comm)])];
    for (expected, comm, is_it) in [
        ("systemd-resolved:53", "systemd-resolve", true),
        ("systemd-resolve:53", "systemd-resolve", true),
        ("systemd-resolv:53", "systemd-resolve", false),
        ("systemd-resolved:53", "systemd-resolv", false),
        ("nginx:53", "nginx\0\0", true),
    ] {
        let found = unexpected(expected, listens(comm));
        assert_eq!(found.is_empty(), is_it, "{expected} {comm:?}");
    }
}

#[test]
fn a_range_of_ports_is_expected_with_its_ends() {
    let listens = || vec![at(State::LISTEN, "127.0.0.53", &[(7, "nginx")])];
    for (ports, is_it) in
        [(50..=53, true), (53..=60, true), (1..=65_535, true), (54..=60, false), (1..=52, false)]
    {
        for (comm, is_his) in [(None, true), (Some("nginx"), true), (Some("sshd"), false)] {
            let expected = Expected { comm: comm.map(str::to_owned), ports: ports.clone() };
            let found = unexpected_by(expected, listens());
            assert_eq!(found.is_empty(), is_it && is_his, "{comm:?} {ports:?}");
        }
    }
}

/// `SO_REUSEPORT` lets another program have a part of what comes.
#[test]
fn who_listens_beside_the_expected_one_is_not_expected() {
    let socket = |owners: &[(u32, &str)]| at(State::LISTEN, "0.0.0.0", owners);
    let nginx = || vec![socket(&[(7, "nginx"), (8, "nginx")]), socket(&[(1, "systemd"), (9, "nginx")])];
    assert_eq!(unexpected("nginx:53", nginx()), [0; 0]);
    assert_eq!(unexpected("nginx:53", [nginx(), vec![socket(&[(5, "thief")])]].concat()), [5]);
    assert_eq!(unexpected("53", [nginx(), vec![socket(&[(5, "thief")])]].concat()), [0; 0]);
    assert_eq!(unexpected("nginx:53", [nginx(), vec![socket(&[])]].concat()), [0; 0], "it has just begun");
}

/// A deleted file is that of an update as well: worth knowing, unless somebody has said what should listen.
#[test]
fn who_listens_is_a_warning_only_where_somebody_has_said_who_should() {
    let severities = |expected: Option<u16>, owner: Vec<Who>| {
        let mut seen = at(State::LISTEN, "0.0.0.0", &[]);
        seen.owners = owner.into();
        let only = vec!["unexpected-listener".to_owned()];
        let expected = expected.map(|port| vec![Expected { comm: None, ports: port..=port }]);
        let mut detectors = Detectors::new(Options { only, expected, ..Options::default() });
        (0..2).for_each(|at_s| detectors.sample(&scan(at_s, vec![seen.clone()])));
        detectors.findings().iter().map(|found| found.severity).collect::<Vec<_>>()
    };
    let deleted = || vec![who(7)];
    assert_eq!(severities(None, deleted()), [Severity::Info]);
    assert_eq!(severities(Some(22), deleted()), [Severity::Warning]);
    assert_eq!(severities(Some(53), deleted()), []);
    assert_eq!(severities(None, vec![started(7, "dns", 1)]), [], "it was there before");
}
