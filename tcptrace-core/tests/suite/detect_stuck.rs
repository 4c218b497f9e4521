//! Connections that have begun to close and do not end, or seem to.

use tcptrace_core::{
    diagnosis::detect::Sample,
    model::{
        finding::{Finding, Severity},
        limits::Limits,
        namespace::NamespaceSample,
        process::Condition,
        state::State,
    },
};

use crate::common::{
    scans::{self, SECOND, scan},
    standing::{LONG, blocked, findings, half_closed, other_end, still},
};

/// A client that has asked, and shuts its half down, waits for a server that computes: nobody is harmed.
#[test]
fn who_waits_for_an_answer_on_this_host_is_not_stuck() {
    let found = |asked_answered| {
        let servers = half_closed(70, asked_answered, 100);
        let clients = servers[..8].iter().map(|seen| {
            let mut other = other_end(seen, State::FIN_WAIT2, 900);
            (other.socket.age_at_least_ns, other.socket.info) = (Some(70 * SECOND), None);
            other
        });
        findings([scan(1_000, servers.iter().cloned().chain(clients).collect())])
    };
    let owes = found([71, 75]);
    assert_eq!(owes.iter().map(|found| found.severity).collect::<Vec<_>>(), [Severity::Info]);
    assert_eq!(owes[0].consequences[0].id, "fin-wait2-stuck");
    assert_eq!(found([71, 70])[0].severity, Severity::Warning, "it is answered");
}

/// What a remote server computes for more than ten minutes is hardly an answer any more.
#[test]
fn who_waits_for_an_answer_from_elsewhere_is_not_stuck_yet() {
    let found = |age_s: u32, sent_before_s: u32, descriptors| {
        let one = |number| {
            let mut seen = still(number, State::FIN_WAIT2, age_s * 1_000);
            seen.socket.age_at_least_ns = Some(u64::from(age_s) * SECOND);
            seen.socket.info.as_mut().unwrap().last_data_sent_ms =
                Some((age_s + sent_before_s) * 1_000 - 5_000);
            seen
        };
        let condition =
            Condition { descriptors: Some(descriptors), descriptor_limit: Some(20), stopped: None };
        let scan = scan(10_000, (0..8).map(one).collect());
        findings([Sample { processes: [(7, condition)].into(), ..scan }]).remove(0).severity
    };
    assert_eq!(found(90, 0, 10), Severity::Info);
    assert_eq!(found(90, 10, 10), Severity::Warning, "it has answered");
    assert_eq!(found(700, 0, 10), Severity::Warning);
    assert_eq!(found(90, 0, 19), Severity::Warning, "its descriptors run out");
}

/// The counter is that of the namespace, and no socket that a process has open is an orphan.
#[test]
fn what_the_kernel_ended_is_told_once() {
    let one = |(number, state)| {
        let mut seen = still(number, state, 90_000);
        seen.socket.age_at_least_ns = Some(90 * SECOND);
        if state != State::FIN_WAIT2 {
            seen.socket.inode = None;
        }
        seen
    };
    let states = [State::FIN_WAIT1, State::FIN_WAIT2, State::LAST_ACK];
    let at = |aborted| {
        let all = (0..).zip(states.into_iter().flat_map(|state| [state; 8])).map(one).collect();
        let limits = Limits { max_orphans: Some(100), ..Limits::default() };
        let counters = [("TCPAbortOnMemory".to_owned(), aborted)].into();
        let namespace = NamespaceSample { limits, counters, orphans: Some(99), ..NamespaceSample::default() };
        Sample { namespaces: [(Some(1), namespace)].into(), ..scan(1_000, all) }
    };
    let found = findings([at(0), at(5)]);
    let critical: Vec<&Finding> = found.iter().filter(|found| found.severity == Severity::Critical).collect();
    assert_eq!((found.len(), critical.len()), (3, 1), "{found:#?}");
    let harm = critical[0].harm.as_ref().unwrap();
    assert_eq!((harm.count, harm.what.as_str()), (5, "connections ended by the kernel"));
    let of_fin_wait2 = found.iter().find(|found| found.id == "fin-wait2-stuck").unwrap();
    assert!(of_fin_wait2.evidence.iter().all(|evidence| !evidence.name.contains("TCPAbortOnMemory")));
}

/// Nobody is told to ping an address of this host.
#[test]
fn an_address_of_this_host_is_not_pinged() {
    let found = |raddr: &str| {
        let one = |number| {
            let mut seen = still(number, State::FIN_WAIT1, LONG);
            (seen.socket.age_at_least_ns, seen.socket.flow.remote.address) =
                (Some(30 * SECOND), raddr.parse().unwrap());
            seen
        };
        findings([scan(1_000, (0..8).map(one).collect())]).remove(0)
    };
    let [here, there] = ["127.0.0.1", "198.51.100.7"].map(found);
    assert!(!scans::commands(&here).contains("ping"), "{here:#?}");
    assert!(here.summary.ends_with("of this host, and the other ends were not seen"), "{}", here.summary);
    assert!(scans::commands(&there).contains("ping -c 3 198.51.100.7"), "{there:#?}");
}

/// FIN_WAIT2 for so many seconds, with `tcp_fin_timeout` of one, and something received so long ago.
fn fin_wait2(age_s: u64, received_s: u32, fin_timeout_s: u64) -> usize {
    let one = |number| {
        let mut seen = still(number, State::FIN_WAIT2, received_s * 1_000);
        seen.socket.age_at_least_ns = Some(age_s * SECOND);
        seen
    };
    let limits = Limits { fin_timeout_s, ..Limits::default() };
    let namespaces = [(Some(1), NamespaceSample { limits, ..NamespaceSample::default() })].into();
    findings([Sample { namespaces, ..scan(1_000, (0..8).map(one).collect()) }]).len()
}

/// A short setting is about sockets that nobody has open.
#[test]
fn a_short_fin_timeout_makes_nothing_stuck() {
    assert_eq!([0, 1, 15].map(|setting| fin_wait2(30, 30, setting)), [0, 0, 0]);
    assert_eq!([0, 1, 15].map(|setting| fin_wait2(70, 70, setting)), [1, 1, 1]);
    assert_eq!(fin_wait2(100, 100, 120), 0, "a long one counts");
    assert_eq!(fin_wait2(100, 3, 1), 0, "the peer still sends");
}

/// The kernel ends orphans beyond `tcp_max_orphans` without a word.
#[test]
fn orphans_are_told_where_they_are_many() {
    let stuck = |orphans, aborted| {
        let one = |number| {
            let mut seen = still(number, State::FIN_WAIT1, LONG);
            (seen.socket.age_at_least_ns, seen.socket.inode) = (Some(30 * SECOND), None);
            seen
        };
        let limits = Limits { max_orphans: Some(100), ..Limits::default() };
        let counters = [("TCPAbortOnMemory".to_owned(), aborted)].into();
        let namespace =
            NamespaceSample { limits, counters, orphans: Some(orphans), ..NamespaceSample::default() };
        Sample { namespaces: [(Some(1), namespace)].into(), ..scan(100, (0..8).map(one).collect()) }
    };
    let found = |orphans, aborted| {
        let found = findings([stuck(orphans, 0), stuck(orphans, aborted)]).remove(0);
        (found.severity, found.evidence.iter().any(|evidence| evidence.name.starts_with("orphans")))
    };
    assert_eq!(found(8, 0), (Severity::Warning, false));
    assert_eq!(found(90, 0), (Severity::Warning, true));
    assert_eq!(found(99, 5), (Severity::Critical, true));
    assert_eq!(found(8, 5), (Severity::Warning, false), "memory ran out for another reason");
}

/// A probe runs as well where this host drops what it sends: then the peer's window is open.
#[test]
fn what_this_host_drops_is_no_closed_window() {
    let stuck = |snd_wnd: u32| {
        let one = |number| {
            let mut seen = blocked(still(number, State::FIN_WAIT1, LONG));
            seen.socket.age_at_least_ns = Some(u64::from(LONG) * 1_000_000);
            seen.socket.info.as_mut().unwrap().snd_wnd = snd_wnd;
            seen
        };
        let found = findings([scan(1_000, (0..8).map(one).collect())]);
        let stuck = found.iter().find(|found| found.id == "fin-wait1-stuck").unwrap();
        stuck.summary.contains("window is closed")
    };
    assert!(stuck(0));
    assert!(!stuck(65_536));
}
