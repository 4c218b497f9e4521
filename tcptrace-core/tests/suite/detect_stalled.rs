//! Who does not read, and who waits.

use tcptrace_core::{
    diagnosis::detect::{Sample, Seen},
    model::{
        finding::{Finding, Severity},
        process::Condition,
        state::State,
    },
};

use crate::common::{
    scans::{self, SECOND, scan, who},
    standing::{LONG, LOOPBACK, blocked, closed_windows, findings, listener, other_end, pids, still, unread},
};

/// Both ends on this host are one connection.
#[test]
fn who_does_not_read_is_named_before_who_waits() {
    let found = findings([scan(100, closed_windows(6, true, LONG))]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["stalled"]);
    assert_eq!((found[0].severity, pids(&found[0])), (Severity::Warning, vec![900, 7]));
    assert!(found[0].summary.contains("does not read from 6 connections"), "{}", found[0].summary);
    assert_eq!(found[0].harm.as_ref().unwrap().count, 6);
}

/// `curl | less` keeps its own data waiting; a server that does not read keeps its client waiting.
#[test]
fn one_client_that_does_not_read_is_worth_knowing() {
    let severity = |server_reads| findings([scan(100, closed_windows(1, server_reads, LONG))])[0].severity;
    assert_eq!((severity(true), severity(false)), (Severity::Info, Severity::Warning));
}

#[test]
fn a_pause_of_seconds_is_none() {
    assert_eq!(findings([scan(100, closed_windows(6, true, 5_000))]), []);
}

/// Its window opens late, since it reads little at once.
#[test]
fn who_reads_slowly_reads() {
    let at = |at_s: u64, left: u32| {
        let mut sockets = closed_windows(6, true, LONG);
        let readers = sockets.iter_mut().filter(|seen| seen.socket.recv_queue > 0);
        readers.for_each(|seen| seen.socket.recv_queue = left);
        scan(100 + at_s, sockets)
    };
    assert_eq!(findings([at(0, 90_000), at(5, 80_000), at(12, 70_000)]), []);
    assert_eq!(findings([at(0, 90_000), at(5, 90_000), at(12, 90_000)]).len(), 1);
}

/// The peers are elsewhere.
#[test]
fn a_remote_peer_that_does_not_read_is_named() {
    let with = |count: u16, has_listener: bool| {
        let blocked = (0..count).map(|number| blocked(still(number, State::ESTABLISHED, LONG)));
        let found = findings([scan(100, blocked.chain(has_listener.then(listener)).collect())]);
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
        findings([Sample { processes: [(7, condition)].into(), ..scan(100, sockets) }])
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
    let found = findings([scan(100, vec![read_never, waiting, listener])]);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), ["nobody-accepts"]);
    assert_eq!(found[0].consequences[0].id, "stalled");
}

#[test]
fn idle_connections_are_none() {
    let idle = (0..50).map(|number| still(number, State::ESTABLISHED, 3_600_000)).chain([listener()]);
    let found = findings([scan(4_000, idle.collect())]);
    assert!(found.iter().all(|found| found.id != "stalled"), "{found:#?}");
}

/// A proxy that cannot send on reads nothing more.
#[test]
fn who_waits_for_another_is_not_the_root() {
    let client_side = unread(still(1, State::ESTABLISHED, LONG), 90_000);
    let mut client = blocked(other_end(&client_side, State::ESTABLISHED, 900));
    client.socket.cookie = 5_000;
    let mut to_backend = blocked(still(2, State::ESTABLISHED, LONG));
    (to_backend.socket.flow.local.port, to_backend.socket.flow.remote.port) = (40_000, 8_080);
    let backend = unread(other_end(&to_backend, State::ESTABLISHED, 901), 90_000);
    let found = findings([scan(100, vec![client_side, client, to_backend, backend, listener()])]);
    assert_eq!(found.iter().map(|found| found.subject.as_str()).collect::<Vec<_>>(), ["process 901"]);
}

/// A process on port `from` waits with data for one on port `to`, which does not read it: two ends.
fn waits_for([from, to]: [u16; 2], number: u16) -> [Seen; 2] {
    let mut sender = blocked(still(number, State::ESTABLISHED, LONG));
    sender.owners = [who(from.into())].into();
    (sender.socket.flow.local.port, sender.socket.flow.remote.port) = (20_000 + number, to);
    (sender.socket.flow.local.address, sender.socket.flow.remote.address) = (LOOPBACK, LOOPBACK);
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
    (server.flow.local.port, server.flow.remote.port) = (80, client);
    let (server, client) = (&mut to_client[1].socket, 40_000);
    (server.flow.local.port, server.flow.remote.port) = (client, 80);
    let mut listens = listener();
    (listens.socket.flow.local.address, listens.owners) =
        (to_client[0].socket.flow.local.address, [who(30)].into());
    let alone = findings([scan(100, to_client.iter().cloned().chain([listens.clone()]).collect())]);
    assert_eq!((subjects(&alone), alone[0].severity), (vec!["process 40"], Severity::Info));
    let behind = (2..8).flat_map(|number| waits_for([50, 30], number));
    let found = findings([scan(100, to_client.iter().cloned().chain(behind).chain([listens]).collect())]);
    assert_eq!((subjects(&found), found[0].severity), (vec!["process 40"], Severity::Warning));
    assert_eq!(found[0].harm.as_ref().unwrap().count, 7, "its own, and those behind it");
}

/// Each waits for the next one.
#[test]
fn a_ring_is_one_finding() {
    let ring = |pairs: &[[u16; 2]]| {
        let all = (1..).zip(pairs).flat_map(|(number, pair)| waits_for(*pair, number)).collect();
        findings([scan(100, all)])
    };
    let three = ring(&[[30, 40], [40, 50], [50, 30]]);
    assert_eq!((subjects(&three), three[0].severity), (vec!["process 30"], Severity::Warning));
    assert_eq!(three[0].harm.as_ref().unwrap().count, 3);
    assert_eq!(scans::evidence(&three[0], "processes that wait for each other"), "3");
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
        pair[1].owners = [].into();
        let sockets = pair.into_iter().take(if is_seen { 2 } else { 1 });
        findings([scan(100, sockets.collect())]).remove(0)
    };
    for found in [found(true), found(false)] {
        assert!(
            found.summary.starts_with("a program of this host that is not known does not read"),
            "{found:#?}"
        );
        assert!(!scans::commands(&found).contains("dst "), "{found:#?}");
        assert!(pids(&found).is_empty(), "who waits is not responsible");
    }
}
