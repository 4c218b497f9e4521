//! Detectors on made-up connections that stand still, or seem to: who does not read, who does not close, and who waits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::looks::{self, INFO, SECOND, look, socket, who};
use tcptrace::{
    detect::{Finding, Limits, NamespaceSample, Sample, Seen, Severity},
    process::Condition,
    snapshot::{Info, Timer, TimerKind},
    state::State,
};

/// But for listeners, which are new in each test.
fn findings(looks: impl IntoIterator<Item = Sample>) -> Vec<Finding> {
    let all = looks::findings(looks).into_iter();
    all.filter(|finding| finding.id != "unexpected-listener").collect()
}

/// The other end of a connection, of process `pid`.
fn other_end(of: &Seen, state: State, pid: u32) -> Seen {
    let mut other = socket(state, 0, pid);
    other.socket.cookie = of.socket.cookie + 1_000;
    other.socket.info = of.socket.info;
    (other.socket.laddr, other.socket.lport) = (of.socket.raddr, of.socket.rport);
    (other.socket.raddr, other.socket.rport) = (of.socket.laddr, of.socket.lport);
    other
}

/// A connection of the server 192.0.2.1:80 on which nothing was sent or received for so long.
fn still(number: u16, state: State, ms: u32) -> Seen {
    let mut seen = socket(state, number, 7);
    seen.socket.info = Some(Info {
        last_data_sent_ms: Some(ms),
        last_data_recv_ms: Some(ms),
        last_ack_recv_ms: Some(ms),
        ..INFO
    });
    seen
}

fn listener() -> Seen {
    let mut seen = socket(State::LISTEN, 999, 7);
    seen.socket.rport = 0;
    seen
}

/// Its data waits for the peer's window.
fn blocked(mut seen: Seen) -> Seen {
    seen.socket.send_queue = 1_000_000;
    seen.socket.timer = Some(Timer { kind: TimerKind::Persist, expires_ms: 1, retransmits: 0 });
    seen
}

fn unread(mut seen: Seen, bytes: u32) -> Seen {
    seen.socket.recv_queue = bytes;
    seen.socket.info.as_mut().unwrap().bytes_received = 1_000_000;
    seen
}

fn pids(finding: &Finding) -> Vec<u32> {
    finding.owners.iter().map(|who| who.pid).collect()
}

const LONG: u32 = 30_000;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connections of which the server sends and the client, process 900, does not read, or the other way round.
fn closed_windows(count: u16, server_reads: bool, ms: u32) -> Vec<Seen> {
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

/// Both ends on this host are one connection.
#[test]
fn who_does_not_read_is_named_before_who_waits() {
    let found = findings([look(100, closed_windows(6, true, LONG))]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["stalled"]);
    assert_eq!((found[0].severity, pids(&found[0])), (Severity::Warning, vec![900, 7]));
    assert!(found[0].summary.contains("does not read from 6 connections"), "{}", found[0].summary);
    assert_eq!(found[0].harm.as_ref().unwrap().count, 6);
}

/// `curl | less` keeps its own data waiting; a server that does not read keeps its client waiting.
#[test]
fn one_client_that_does_not_read_is_worth_knowing() {
    let severity = |server_reads| findings([look(100, closed_windows(1, server_reads, LONG))])[0].severity;
    assert_eq!((severity(true), severity(false)), (Severity::Info, Severity::Warning));
}

#[test]
fn a_pause_of_seconds_is_none() {
    assert_eq!(findings([look(100, closed_windows(6, true, 5_000))]), []);
}

/// Its window opens late, since it reads little at once.
#[test]
fn who_reads_slowly_reads() {
    let at = |at_s: u64, left: u32| {
        let mut sockets = closed_windows(6, true, LONG);
        let readers = sockets.iter_mut().filter(|seen| seen.socket.recv_queue > 0);
        readers.for_each(|seen| seen.socket.recv_queue = left);
        look(100 + at_s, sockets)
    };
    assert_eq!(findings([at(0, 90_000), at(5, 80_000), at(12, 70_000)]), []);
    assert_eq!(findings([at(0, 90_000), at(5, 90_000), at(12, 90_000)]).len(), 1);
}

/// The peers are elsewhere.
#[test]
fn a_remote_peer_that_does_not_read_is_named() {
    let with = |count: u16, has_listener: bool| {
        let blocked = (0..count).map(|number| blocked(still(number, State::ESTABLISHED, LONG)));
        let found = findings([look(100, blocked.chain(has_listener.then(listener)).collect())]);
        (found[0].subject.clone(), found[0].severity, pids(&found[0]))
    };
    let peer = "peer 198.51.100.7".to_owned();
    // Who waits is not responsible.
    assert_eq!(with(1, false), (peer.clone(), Severity::Warning, vec![]), "a server");
    assert_eq!(with(1, true), (peer.clone(), Severity::Info, vec![]), "a client");
    assert_eq!(with(5, true), (peer, Severity::Warning, vec![]));
}

/// A worker that hangs, or is stopped, does not read what it has accepted: no window is closed by that.
#[test]
fn a_request_that_is_not_read_lets_its_client_wait() {
    let server = |sent_ms| {
        let mut seen = unread(still(1, State::ESTABLISHED, LONG), 100);
        seen.socket.info.as_mut().unwrap().last_data_sent_ms = Some(sent_ms);
        seen
    };
    let found = |sockets: Vec<Seen>, stopped| {
        let condition = Condition { stopped: Some(stopped), ..Condition::default() };
        findings([Sample { processes: [(7, condition)].into(), ..look(100, sockets) }])
    };
    let hangs = found(vec![server(LONG + 5_000), listener()], false);
    assert_eq!((hangs[0].id, hangs[0].severity), ("stalled", Severity::Warning));
    let stopped = found(vec![server(LONG + 5_000), listener()], true);
    assert!(stopped[0].summary.contains("is stopped and does not read"), "{}", stopped[0].summary);
    assert_eq!(found(vec![server(LONG - 10_000), listener()], false), [], "it has answered since");
    assert_eq!(found(vec![server(LONG + 5_000)], false), [], "a client that leaves a notice unread");
}

/// What hangs neither accepts nor reads.
#[test]
fn who_accepts_nobody_and_reads_nothing_is_one_finding() {
    let mut read_never = unread(still(1, State::ESTABLISHED, LONG), 100);
    read_never.socket.info.as_mut().unwrap().last_data_sent_ms = Some(LONG + 5_000);
    let mut waiting = still(2, State::ESTABLISHED, LONG);
    (waiting.socket.inode, waiting.socket.age_at_least_ns) = (None, Some(30 * SECOND));
    let mut listener = listener();
    (listener.socket.recv_queue, listener.socket.send_queue) = (1, 511);
    let found = findings([look(100, vec![read_never, waiting, listener])]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["nobody-accepts"]);
    assert_eq!(found[0].consequences[0].id, "stalled");
}

#[test]
fn idle_connections_are_none() {
    let idle = (0..50).map(|number| still(number, State::ESTABLISHED, 3_600_000)).chain([listener()]);
    let found = findings([look(4_000, idle.collect())]);
    assert!(found.iter().all(|found| found.id != "stalled"), "{found:#?}");
}

/// A proxy that cannot send on reads nothing more.
#[test]
fn who_waits_for_another_is_not_the_root() {
    let client_side = unread(still(1, State::ESTABLISHED, LONG), 90_000);
    let mut client = blocked(other_end(&client_side, State::ESTABLISHED, 900));
    client.socket.cookie = 5_000;
    let mut to_backend = blocked(still(2, State::ESTABLISHED, LONG));
    (to_backend.socket.lport, to_backend.socket.rport) = (40_000, 8_080);
    let backend = unread(other_end(&to_backend, State::ESTABLISHED, 901), 90_000);
    let found = findings([look(100, vec![client_side, client, to_backend, backend, listener()])]);
    assert_eq!(found.iter().map(|found| found.subject.as_str()).collect::<Vec<_>>(), ["process 901"]);
}

/// A process on port `from` waits with data for one on port `to`, which does not read it: two ends.
fn waits_for([from, to]: [u16; 2], number: u16) -> [Seen; 2] {
    let mut sender = blocked(still(number, State::ESTABLISHED, LONG));
    sender.owners = vec![who(from.into())];
    (sender.socket.lport, sender.socket.rport) = (20_000 + number, to);
    (sender.socket.laddr, sender.socket.raddr) = (LOOPBACK, LOOPBACK);
    let reader = unread(other_end(&sender, State::ESTABLISHED, to.into()), 90_000);
    [sender, reader]
}

fn subjects(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|found| found.subject.as_str()).collect()
}

/// Its clients wait for a proxy, which waits for one that would be worth knowing only.
#[test]
fn who_waits_behind_one_client_is_not_hidden() {
    // The proxy 30 is the server of 40, a client that does not read, and of the others, which wait for it.
    let mut to_client = waits_for([30, 40], 1);
    let (server, client) = (&mut to_client[0].socket, 40_000);
    (server.lport, server.rport) = (80, client);
    let (server, client) = (&mut to_client[1].socket, 40_000);
    (server.lport, server.rport) = (client, 80);
    let mut listens = listener();
    (listens.socket.laddr, listens.owners) = (to_client[0].socket.laddr, vec![who(30)]);
    let alone = findings([look(100, to_client.iter().cloned().chain([listens.clone()]).collect())]);
    assert_eq!((subjects(&alone), alone[0].severity), (vec!["process 40"], Severity::Info));
    let behind = (2..8).flat_map(|number| waits_for([50, 30], number));
    let found = findings([look(100, to_client.iter().cloned().chain(behind).chain([listens]).collect())]);
    assert_eq!((subjects(&found), found[0].severity), (vec!["process 40"], Severity::Warning));
    assert_eq!(found[0].harm.as_ref().unwrap().count, 7, "its own, and those behind it");
}

/// Each waits for the next one.
#[test]
fn a_ring_is_one_finding() {
    let ring = |pairs: &[[u16; 2]]| {
        let all = (1..).zip(pairs).flat_map(|(number, pair)| waits_for(*pair, number)).collect();
        findings([look(100, all)])
    };
    let three = ring(&[[30, 40], [40, 50], [50, 30]]);
    assert_eq!((subjects(&three), three[0].severity), (vec!["process 30"], Severity::Warning));
    assert_eq!(three[0].harm.as_ref().unwrap().count, 3);
    assert_eq!(looks::evidence(&three[0], "processes that wait for each other"), "3");
    assert_eq!(subjects(&ring(&[[30, 40], [40, 30]])), ["process 30"]);
    let chain = ring(&[[30, 40], [40, 50]]);
    assert_eq!(subjects(&chain), ["process 50"], "a chain has an end");
    assert_eq!(
        subjects(&ring(&[[30, 40], [40, 50], [50, 30], [30, 60]])),
        ["process 60"],
        "which is the root"
    );
}

/// An address of this host is no peer elsewhere.
#[test]
fn a_reader_here_that_is_not_known_is_no_remote_peer() {
    let found = |is_seen: bool| {
        let mut pair = waits_for([30, 40], 1);
        pair[1].owners.clear();
        let sockets = pair.into_iter().take(if is_seen { 2 } else { 1 });
        findings([look(100, sockets.collect())]).remove(0)
    };
    for found in [found(true), found(false)] {
        assert!(
            found.summary.starts_with("a program of this host that is not known does not read"),
            "{found:#?}"
        );
        assert!(!looks::commands(&found).contains("dst "), "{found:#?}");
        assert!(pids(&found).is_empty(), "who waits is not responsible");
    }
}

/// Eight sockets whose peer has closed, for so many seconds; `asked` and `answered`: seconds since.
fn half_closed(age_s: u64, [asked_s, answered_s]: [u32; 2], bytes: u64) -> Vec<Seen> {
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

fn leak(sockets: Vec<Seen>) -> Option<Severity> {
    let found = findings([look(1_000, sockets)]);
    found.iter().find(|found| found.id == "close-wait-leak").map(|found| found.severity)
}

#[test]
fn what_owes_no_answer_is_over() {
    assert_eq!(leak(half_closed(30, [40, 40], 1)), Some(Severity::Warning), "nothing was asked");
    assert_eq!(leak(half_closed(30, [40, 35], 100)), Some(Severity::Warning), "it is answered");
    assert_eq!(leak(half_closed(15, [40, 35], 100)), Some(Severity::Info), "for a moment yet");
}

/// As a server with a time to think of half a minute, and a client's pool whose servers have closed.
#[test]
fn who_has_yet_to_answer_is_no_leak() {
    assert_eq!(leak(half_closed(30, [31, 40], 100)), None);
    assert_eq!(leak(half_closed(90, [91, 95], 100)), Some(Severity::Info), "it stays so, and grows not");
    let grows = |counts: [usize; 4]| {
        let at = |(scan, count): (u64, usize)| {
            let some = half_closed(90, [91, 95], 100).into_iter().take(count).chain([listener()]);
            look(1_000 + scan, some.collect())
        };
        findings((0..).zip(counts).map(at))[0].severity
    };
    assert_eq!(grows([4, 5, 6, 7]), Severity::Warning);
    assert_eq!((grows([5, 8, 8, 8]), grows([5, 7, 6, 8])), (Severity::Info, Severity::Info));
}

/// It finds out that its servers have closed when it takes one of them again.
#[test]
fn the_pool_of_a_client_is_no_leak() {
    let pool: Vec<Seen> = half_closed(90, [95, 96], 100).into_iter().take(8).collect();
    let others = pool.iter().map(|seen| {
        let mut other = other_end(seen, State::FIN_WAIT2, 900);
        other.socket.inode = None;
        other
    });
    assert_eq!(leak(pool.iter().cloned().chain(others).collect()), Some(Severity::Info));
}

/// It sends, and its peer acknowledges.
#[test]
fn a_half_close_that_streams_is_no_leak() {
    let at = |at_s: u64| {
        let mut all = half_closed(20 + at_s, [90, 90], 1);
        for info in all.iter_mut().filter_map(|seen| seen.socket.info.as_mut()) {
            (info.bytes_acked, info.last_data_sent_ms) = (at_s, Some(100));
        }
        look(1_000 + at_s, all)
    };
    assert_eq!(findings([at(0), at(5), at(10), at(15)]), []);
}

/// A client that is gone waits for no answer.
#[test]
fn a_peer_that_has_closed_for_good_waits_for_nothing() {
    let with = |inode| {
        let all = half_closed(30, [31, 40], 100);
        let others = all[..8].iter().map(|seen| {
            let mut other = other_end(seen, State::FIN_WAIT2, 900);
            other.socket.inode = inode;
            other
        });
        leak(all.iter().cloned().chain(others).collect())
    };
    assert_eq!((with(None), with(Some(3))), (Some(Severity::Warning), None));
}

#[test]
fn descriptors_say_how_bad_a_leak_is() {
    let with = |used, first: u16| {
        let condition = Condition { descriptors: Some(used), descriptor_limit: Some(100), stopped: None };
        let before =
            half_closed(20, [40, 40], 1).into_iter().take(first.into()).chain([listener()]).collect();
        let at = |at_s, sockets| Sample { processes: [(7, condition)].into(), ..look(at_s, sockets) };
        findings([at(1_000, before), at(1_060, half_closed(30, [40, 40], 1))]).remove(0)
    };
    assert_eq!(with(50, 8).severity, Severity::Warning);
    assert_eq!(with(90, 8).severity, Severity::Warning, "a busy process: 82 are of something else");
    assert!(!with(90, 8).summary.contains("descriptors are open"), "{}", with(90, 8).summary);
    assert!(with(90, 4).summary.ends_with("; at this rate the last descriptor is open in 2 minutes"));
    let grows = with(50, 4);
    let rate = grows.evidence.iter().find(|evidence| evidence.name.starts_with("at this rate")).unwrap();
    assert_eq!(rate.value, "12 minutes", "50 left, 4 a minute");
}

/// Descriptors that are nearly used up are the leak's doing where a quarter of them is forgotten.
#[test]
fn a_leak_that_uses_up_the_descriptors_is_critical() {
    let with = |used| {
        let condition =
            Condition { descriptors: Some(used), descriptor_limit: Some(used + 1), stopped: None };
        let at =
            |at_s| Sample { processes: [(7, condition)].into(), ..look(at_s, half_closed(30, [40, 40], 1)) };
        findings([at(1_000), at(1_060)]).remove(0)
    };
    assert_eq!(with(32).severity, Severity::Critical);
    assert!(with(32).summary.ends_with("32 of 33 descriptors are open"), "{}", with(32).summary);
    assert_eq!(with(33).severity, Severity::Warning);
}

/// The ends here rest on the leak there.
#[test]
fn a_leak_explains_the_other_ends() {
    let leaked = half_closed(70, [80, 80], 1);
    let waiting = leaked[..8].iter().map(|seen| {
        let mut other = other_end(seen, State::FIN_WAIT2, 900);
        (other.socket.age_at_least_ns, other.socket.info) = (Some(70 * SECOND), None);
        other
    });
    let found = findings([look(1_000, leaked.iter().cloned().chain(waiting).collect())]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["close-wait-leak"]);
    assert_eq!(found[0].consequences[0].id, "fin-wait2-stuck");
    assert!(found[0].consequences[0].summary.contains("on this host"), "{found:#?}");
}

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
        findings([look(1_000, servers.iter().cloned().chain(clients).collect())])
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
        let look = look(10_000, (0..8).map(one).collect());
        findings([Sample { processes: [(7, condition)].into(), ..look }]).remove(0).severity
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
        Sample { namespaces: [(Some(1), namespace)].into(), ..look(1_000, all) }
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
            (seen.socket.age_at_least_ns, seen.socket.raddr) = (Some(30 * SECOND), raddr.parse().unwrap());
            seen
        };
        findings([look(1_000, (0..8).map(one).collect())]).remove(0)
    };
    let [here, there] = ["127.0.0.1", "198.51.100.7"].map(found);
    assert!(!looks::commands(&here).contains("ping"), "{here:#?}");
    assert!(here.summary.ends_with("of this host, and the other ends were not seen"), "{}", here.summary);
    assert!(looks::commands(&there).contains("ping -c 3 198.51.100.7"), "{there:#?}");
}

/// Sockets that four processes have open are one leak.
#[test]
fn what_is_inherited_counts_once() {
    let mut all = half_closed(30, [40, 40], 1);
    all[..8].iter_mut().for_each(|seen| seen.owners = vec![who(5), who(7), who(8), who(9)]);
    let found = findings([look(1_000, all)]);
    assert_eq!((found.len(), found[0].subject.as_str(), pids(&found[0])), (1, "process 5", vec![5, 7, 8, 9]));
    assert!(found[0].next_steps.iter().any(|step| step.what.contains("FD_CLOEXEC")), "{found:#?}");
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
    findings([Sample { namespaces, ..look(1_000, (0..8).map(one).collect()) }]).len()
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
        Sample { namespaces: [(Some(1), namespace)].into(), ..look(100, (0..8).map(one).collect()) }
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
        let found = findings([look(1_000, (0..8).map(one).collect())]);
        let stuck = found.iter().find(|found| found.id == "fin-wait1-stuck").unwrap();
        stuck.summary.contains("window is closed")
    };
    assert!(stuck(0));
    assert!(!stuck(65_536));
}
