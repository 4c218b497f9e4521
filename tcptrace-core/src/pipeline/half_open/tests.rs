//! Tests of the tracker, event by event and poll by poll.

mod properties;
mod records;

use std::sync::Arc;

use tcptrace_common::Filter;

use super::*;
use crate::model::{
    event::{Context, Verdict},
    flow::{Endpoint, Flow},
    half_open::{Change, Connection, Counts, End, Pending, Poll, Source, What},
    owner::{Owner, Provenance},
    ports::PortSet,
    socket_filter::SocketFilter,
    state::State,
};

const SECOND: u64 = 1_000_000_000;
const NETNS: u32 = 4_026_532_177;

fn all() -> SocketFilter {
    SocketFilter { filter: Filter::NONE, lports: None, rports: None }
}

fn connection(number: u8) -> Connection {
    Connection {
        cookie: 100 + u64::from(number),
        flow: Flow {
            netns: Some(NETNS),
            local: Endpoint::new([192, 0, 2, 1].into(), 80),
            remote: Endpoint::new([203, 0, 113, number].into(), 1_024),
        },
    }
}

/// The same connection in a namespace that is not known.
fn unplaced(number: u8) -> Connection {
    let known = connection(number);
    Connection { flow: known.flow.anywhere(), ..known }
}

fn event(kind: EventKind, ktime_ns: u64, connection: Connection) -> Event {
    Event { ktime_ns, kind, connection, netns_cookie: None }
}

/// The first transition of the child of a connection that completes.
fn child(ktime_ns: u64, connection: Connection) -> crate::model::event::Event {
    crate::model::event::Event {
        ktime_ns,
        since_ns: None,
        skaddr: 1,
        cookie: connection.cookie,
        flow: connection.flow,
        old_state: State::LISTEN,
        new_state: State::SYN_RECV,
        context: Context::NONE,
        context_owns: false,
        error: None,
        metrics: None,
        evidence: None,
        has_listened: false,
        device: None,
        steered: false,
        process: None,
        verdict: Verdict::Pass,
    }
}

/// A tracker, and the changes that it emitted.
struct Trial {
    half_opens: HalfOpens,
    told: Vec<Change>,
}

impl Trial {
    fn new(limit: usize, wanted: SocketFilter) -> Self {
        Self { half_opens: HalfOpens::new(limit, wanted), told: Vec::new() }
    }

    fn syn(&mut self, at: u64, connection: Connection) {
        let event = event(EventKind::Syn, at, connection);
        self.half_opens.event(&event, None, |change| self.told.push(change));
    }

    fn retransmit(&mut self, at: u64, connection: Connection) {
        let event = event(EventKind::Retransmit, at, connection);
        self.half_opens.event(&event, None, |change| self.told.push(change));
    }

    fn child(&mut self, at: u64, connection: Connection) {
        self.half_opens.transition(&child(at, connection), || None, |change| self.told.push(change));
    }

    /// Takes a poll that began at `at` and took a millisecond. `pending`: the connections, their retransmits, and the time
    /// until their timers fire.
    fn poll(&mut self, at: u64, pending: &[(Connection, u32, u64)]) {
        let poll = Poll {
            namespaces: vec![(Some(NETNS), at)],
            end_ns: at + 1_000_000,
            pending: pending
                .iter()
                .map(|&(connection, retransmits, fires)| Pending {
                    connection,
                    retransmits,
                    fires_ns: Some(at + fires),
                })
                .collect(),
        };
        self.half_opens.polled(&poll, |_| None, |change| self.told.push(change));
    }

    fn whats(&self) -> Vec<What> {
        self.told.iter().map(|change| change.what).collect()
    }

    fn last(&self) -> &Change {
        self.told.last().expect("something was told")
    }

    /// Asserts that every connection that began has ended, was evicted, or is open.
    fn assert_balance(&self) -> Counts {
        let counts = self.half_opens.counts();
        let Counts { completed, timed_out, dropped, unknown, evicted, open, .. } = counts;
        assert_eq!(counts.begun, completed + timed_out + dropped + unknown + evicted + open, "{counts:?}");
        counts
    }
}

const BEGIN: What = What::Begin(Source::Syn);

#[test]
fn a_handshake() {
    let mut trial = Trial::new(10, all());
    trial.syn(SECOND, connection(1));
    trial.syn(SECOND, connection(2));
    trial.child(SECOND + 300_000, connection(1));
    assert_eq!(trial.whats(), [BEGIN, BEGIN, What::End(End::Completed)]);
    assert_eq!(trial.told.iter().map(|change| change.open).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!((trial.told[0].age_ns, trial.last().age_ns), (None, Some(300_000)));
    assert_eq!(trial.told.iter().map(|change| change.recorded).collect::<Vec<_>>(), [true, true, false]);
    let counts = trial.assert_balance();
    assert_eq!((counts.begun, counts.completed, counts.open), (2, 1, 1));
}

/// Kernels up to 6.12 show the listener's cookie and no peer at the first transition of a child.
#[test]
fn a_child_without_identity_completes_at_its_second_transition() {
    let mut trial = Trial::new(10, all());
    trial.syn(SECOND, connection(1));
    let mut nobody = connection(1).flow;
    nobody.remote.port = 0;
    trial.child(2 * SECOND, Connection { cookie: 7, flow: nobody });
    assert_eq!(trial.whats(), [BEGIN]);
    let second =
        crate::model::event::Event { old_state: State::SYN_RECV, ..child(2 * SECOND, connection(1)) };
    trial.half_opens.transition(&second, || None, |change| trial.told.push(change));
    assert_eq!(trial.last().what, What::End(End::Completed));
}

#[test]
fn without_cookies_the_ends_tell() {
    let mut trial = Trial::new(10, all());
    let nameless = |number| Connection { cookie: 0, ..connection(number) };
    trial.retransmit(SECOND, nameless(1));
    trial.retransmit(2 * SECOND, nameless(2));
    trial.child(3 * SECOND, nameless(1));
    trial.child(3 * SECOND, connection(2));
    let counts = trial.assert_balance();
    assert_eq!((counts.begun, counts.completed), (2, 2));
}

#[test]
fn a_flood_times_out() {
    let mut trial = Trial::new(10, all());
    trial.syn(0, connection(1));
    trial.retransmit(SECOND, connection(1));
    trial.poll(SECOND + SECOND / 2, &[(connection(1), 1, 3 * SECOND / 2)]);
    trial.retransmit(3 * SECOND, connection(1));
    trial.poll(4 * SECOND, &[(connection(1), 2, 3 * SECOND)]);
    trial.poll(7 * SECOND + SECOND / 2, &[]);
    assert_eq!(trial.whats(), [BEGIN, What::Retransmit, What::Retransmit, What::End(End::TimedOut)]);
    assert_eq!(trial.last().retransmits, 2);
    assert_eq!(trial.assert_balance().timed_out, 1);
}

/// The timer fired, but the kernel gives up after a single SYN-ACK only where `net.ipv4.tcp_synack_retries` is 0.
#[test]
fn what_goes_too_early_was_dropped() {
    for (retries, expected) in [(5, End::Dropped), (1, End::Dropped), (0, End::TimedOut)] {
        let mut trial = Trial::new(10, all());
        trial.half_opens.set_retries(Some(NETNS), retries);
        trial.syn(0, connection(1));
        trial.poll(SECOND + SECOND / 2, &[]);
        assert_eq!(trial.whats(), [BEGIN, What::End(expected)], "{retries} retries");
    }
    let mut trial = Trial::new(10, all());
    trial.syn(0, connection(1));
    trial.retransmit(SECOND, connection(1));
    trial.retransmit(3 * SECOND, connection(1));
    trial.poll(4 * SECOND, &[]);
    assert_eq!(trial.last().what, What::End(End::Dropped), "its timer had three seconds left");
}

#[test]
fn polls_find_what_was_there_before() {
    let mut trial = Trial::new(10, all());
    trial.poll(SECOND, &[(connection(1), 3, SECOND)]);
    assert_eq!(trial.whats(), [What::Begin(Source::Poll)]);
    assert_eq!((trial.last().retransmits, trial.last().recorded), (3, false));
    trial.retransmit(2 * SECOND, connection(1));
    assert_eq!((trial.last().retransmits, trial.last().age_ns), (4, None));
    trial.child(3 * SECOND, connection(1));
    assert_eq!(trial.last().what, What::End(End::Completed));
    assert_eq!(trial.assert_balance().completed, 1);
}

#[test]
fn a_poll_that_races_with_events() {
    let mut trial = Trial::new(10, all());
    trial.syn(SECOND, connection(1));
    trial.half_opens.poll_begins();
    // Between the request and its reply, a connection completes, and so does one whose SYN was not seen. Another one begins.
    trial.child(SECOND + 100_000, connection(1));
    trial.child(SECOND + 100_000, connection(2));
    trial.syn(SECOND + 200_000, connection(3));
    trial.poll(SECOND + 50_000, &[(connection(1), 0, SECOND), (connection(2), 0, SECOND)]);
    assert_eq!(trial.whats(), [BEGIN, What::End(End::Completed), BEGIN]);
    assert_eq!(trial.assert_balance().open, 1);
}

#[test]
fn other_namespaces_are_none_of_a_poll_s() {
    let mut trial = Trial::new(10, all());
    let elsewhere = unplaced(1);
    trial.syn(0, elsewhere);
    trial.poll(10 * SECOND, &[]);
    assert_eq!(trial.whats(), [BEGIN]);
    trial.half_opens.tick(60 * SECOND, |_| None, |change| trial.told.push(change));
    assert_eq!(trial.assert_balance().open, 1, "63 seconds and more are usual");
    trial.half_opens.tick(80 * SECOND, |_| None, |change| trial.told.push(change));
    assert_eq!(trial.last().what, What::End(End::Unknown));
    assert_eq!(trial.assert_balance().unknown, 1);
}

#[test]
fn after_a_loss_nobody_knows_how_it_ended() {
    let mut trial = Trial::new(10, all());
    trial.syn(SECOND, connection(1));
    trial.half_opens.gap(2 * SECOND);
    trial.poll(3 * SECOND, &[]);
    assert_eq!(trial.last().what, What::End(End::Unknown));
}

#[test]
fn the_oldest_is_forgotten_first() {
    let mut trial = Trial::new(2, all());
    for number in 1..=3 {
        trial.syn(u64::from(number), connection(number));
    }
    trial.child(SECOND, connection(1));
    let counts = trial.assert_balance();
    assert_eq!((counts.evicted, counts.completed, counts.open), (1, 0, 2));
    assert_eq!(trial.last().open, 2, "those that are forgotten are not counted at the listener either");
}

#[test]
fn a_namespace_that_becomes_known() {
    let mut trial = Trial::new(10, all());
    trial.syn(0, unplaced(1));
    trial.retransmit(SECOND, connection(1));
    trial.syn(SECOND, connection(2));
    assert_eq!((trial.told[1].connection.flow.netns, trial.last().open), (Some(NETNS), 2));
}

#[test]
fn filters() {
    let mut ports = PortSet::new();
    ports.insert(81..=90);
    let by_port = SocketFilter { lports: Some(ports), ..all() };
    let by_netns = SocketFilter { filter: Filter { netns: 1, ..Filter::NONE }, ..all() };
    let by_process = SocketFilter { filter: Filter { tgid: 5, ..Filter::NONE }, ..all() };
    let by_family = SocketFilter { filter: Filter { family: 6, ..Filter::NONE }, ..all() };
    for wanted in [by_port, by_netns, by_process.clone(), by_family] {
        let mut trial = Trial::new(10, wanted);
        trial.syn(0, connection(1));
        trial.poll(SECOND, &[(connection(2), 0, SECOND)]);
        assert!(trial.told.is_empty());
        assert_eq!((trial.half_opens.filtered(), trial.half_opens.open()), (1, 0));
    }
    let mut trial = Trial::new(10, by_process);
    let owner = Owner {
        pid: 5,
        uid: 0,
        comm: [0; 16],
        provenance: Provenance::Inherited,
        others: None,
        process: None,
    };
    let event = event(EventKind::Syn, 0, connection(1));
    trial.half_opens.event(&event, Some(Arc::new(owner)), |change| trial.told.push(change));
    assert_eq!(trial.whats(), [BEGIN]);
}

/// The tracker also follows the connections whose changes the state filters hide.
#[test]
fn filters_on_states() {
    let ended = Filter { new_states: 1 << State::CLOSE.0, ..Filter::NONE };
    let mut trial = Trial::new(10, SocketFilter { filter: ended, ..all() });
    trial.syn(0, connection(1));
    trial.syn(0, connection(2));
    trial.child(1, connection(2));
    trial.poll(SECOND / 2, &[]);
    assert_eq!(trial.whats(), [What::End(End::Dropped)]);
    assert_eq!(trial.half_opens.filtered(), 2, "the records; what was inferred is none");
    assert_eq!(trial.assert_balance().begun, 2);
}
