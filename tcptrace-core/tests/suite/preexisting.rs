//! Sockets that are older than the trace, and what lists of the kernel's put right.

use std::net::Ipv4Addr;

use tcptrace_core::{
    model::{
        close::Role,
        event::Event,
        flow::{Endpoint, Flow},
        owner::{Owner, Provenance},
        socket_dump::{Preexisting, PreexistingTimewait, Since},
        state::State,
        summary::Reconciled,
        transition::Transition,
    },
    pipeline::tracker::{Options, Span, Tracker},
};

use crate::common::{by_process, comm, event, listens};

const NETNS: Option<u32> = Some(4_026_531_833);

fn tracker() -> Tracker {
    Tracker::new(Options { limit: 100, infer: true, ..Options::default() })
}

fn track(tracker: &mut Tracker, event: Event) -> Transition {
    let mut told = Vec::new();
    tracker.track(&mut Transition::of(event), |transition| told.push(transition.clone()));
    assert_eq!(told.len(), 1);
    told.remove(0)
}

/// A namespace whose list began then.
fn span(netns: Option<u32>, begin_ns: u64) -> Span {
    Span { netns, begin_ns, end_ns: begin_ns }
}

fn owner(pid: u32) -> Owner {
    let others = Some([8, 9].into());
    Owner { pid, uid: 33, comm: comm(b"nginx"), provenance: Provenance::Snapshot, others, process: None }
}

/// As the kernel lists the socket of `event(skaddr, ..)`, whose cookie is `skaddr + 1_000`.
fn listed(skaddr: u64, state: State, since: Since) -> Preexisting {
    let Event { flow, cookie, .. } = event(skaddr, 0, state, state);
    Preexisting {
        cookie,
        flow,
        state,
        since,
        dumped_ns: 100,
        role: None,
        owner: Some(owner(7).into()),
        on_device: false,
    }
}

#[test]
fn an_older_socket_has_an_owner_and_an_age() {
    for (since, exactly, at_least) in
        [(Since::Exactly(50), Some(150), None), (Since::AtLatest(90), None, Some(110))]
    {
        let mut tracker = tracker();
        tracker.list(vec![listed(1, State::ESTABLISHED, since)], []);
        let told = track(&mut tracker, event(1, 200, State::ESTABLISHED, State::CLOSE_WAIT));
        assert_eq!((told.in_old_state_ns, told.at_least_ns), (exactly, at_least));
        assert_eq!(told.owner, Some(owner(7).into()));
        let next = track(&mut tracker, event(1, 230, State::CLOSE_WAIT, State::LAST_ACK));
        assert_eq!((next.in_old_state_ns, next.owner), (Some(30), Some(owner(7).into())));
    }
}

/// Whatever the list shows of a socket that changed while it was made, no age comes from it that is not so.
#[test]
fn a_list_that_is_newer_than_an_event_tells_only_the_owner() {
    let mut tracker = tracker();
    tracker.list(vec![listed(1, State::CLOSE_WAIT, Since::AtLatest(120))], []);
    let before = track(&mut tracker, event(1, 99, State::ESTABLISHED, State::CLOSE_WAIT));
    assert_eq!(
        (before.in_old_state_ns, before.at_least_ns, before.owner),
        (None, None, Some(owner(7).into()))
    );
    let after = track(&mut tracker, event(1, 150, State::CLOSE_WAIT, State::LAST_ACK));
    assert_eq!(after.in_old_state_ns, Some(51));
}

#[test]
fn a_socket_in_another_state_than_listed_has_no_age() {
    let mut tracker = tracker();
    tracker.list(vec![listed(1, State::ESTABLISHED, Since::Exactly(10))], []);
    let told = track(&mut tracker, event(1, 300, State::CLOSE_WAIT, State::LAST_ACK));
    assert_eq!((told.in_old_state_ns, told.at_least_ns), (None, None));
}

#[test]
fn a_listed_socket_that_connects_anew_begins_a_life() {
    let mut tracker = tracker();
    tracker.list(vec![listed(1, State::ESTABLISHED, Since::Exactly(10))], []);
    let told = track(&mut tracker, event(1, 300, State::CLOSE, State::SYN_SENT));
    assert_eq!((told.in_old_state_ns, told.owner), (None, None));
}

#[test]
fn children_of_an_older_listener_inherit_its_owner() {
    let mut tracker = tracker();
    let mut listener = listed(5, State::LISTEN, Since::AtLatest(90));
    listener.flow.local.address = "0.0.0.0".parse().unwrap();
    listener.role = Some(Role::Listener);
    tracker.list(vec![listener.clone()], []);
    let child = track(&mut tracker, event(1, 200, State::LISTEN, State::SYN_RECV));
    assert_eq!(child.owner, Some(Owner { provenance: Provenance::Inherited, ..owner(7) }.into()));
    let mut ends = by_process(7, b"nginx", event(5, 300, State::LISTEN, State::CLOSE));
    ends.flow.local.address = listener.flow.local.address;
    track(&mut tracker, ends);
    let orphan = track(&mut tracker, event(2, 400, State::LISTEN, State::SYN_RECV));
    assert_eq!(orphan.owner, None, "it is gone");
}

#[test]
fn without_cookies_the_ends_tell() {
    let mut tracker = Tracker::new(Options { limit: 100, cookies: false, ..Options::default() });
    tracker.list(vec![listed(1, State::ESTABLISHED, Since::Exactly(50))], []);
    let bare = Event { cookie: 0, ..event(1, 200, State::ESTABLISHED, State::CLOSE_WAIT) };
    assert_eq!(track(&mut tracker, bare).owner, Some(owner(7).into()));
}

/// What is left of the socket of `event(1, ..)`, listed at 100.
fn timewait(flow: Flow, since_ns: u64) -> PreexistingTimewait {
    PreexistingTimewait {
        cookie: 1_001,
        flow,
        state: State::TIME_WAIT,
        since_ns,
        dumped_ns: 100,
        device: None,
    }
}

/// The list may have been made when events of the same connection were still to be read, and its times are coarse.
#[test]
fn what_is_left_of_a_connection_is_not_replaced_by_itself() {
    let established = |skaddr, cookie, ktime_ns| {
        let mut tracker = tracker();
        let flow = listed(1, State::TIME_WAIT, Since::Exactly(0)).flow;
        tracker.list(Vec::new(), [timewait(flow, 5)]);
        let mut told = 0;
        let event = Event { cookie, ..event(skaddr, ktime_ns, State::SYN_SENT, State::ESTABLISHED) };
        tracker.track(&mut Transition::of(event), |_| told += 1);
        told
    };
    assert_eq!(established(1, 1_001, 120), 1, "the same by its cookie");
    assert_eq!(established(1, 0, 50), 1, "without one, by the time of the list");
    assert_eq!(established(2, 1_002, 120), 2, "another one");
    assert_eq!(established(2, 0, 120), 2);
}

#[test]
fn timewait_sockets_that_are_older_end_as_well() {
    let mut tracker = tracker();
    let flow = listed(1, State::TIME_WAIT, Since::Exactly(0)).flow;
    tracker.list(Vec::new(), [timewait(flow, 5)]);
    let mut told = Vec::new();
    tracker.tick(61_000_000_000, |transition| told.push(transition.event.ktime_ns));
    assert_eq!(told, [60_000_000_005]);
}

/// Tracks a connection, an event of which is then missed, and reconciles with a list of `listed`, begun at 100.
fn reconciled(list: Vec<Preexisting>) -> (Tracker, Reconciled) {
    let mut tracker = tracker();
    track(&mut tracker, event(1, 10, State::LISTEN, State::SYN_RECV));
    track(&mut tracker, event(1, 20, State::SYN_RECV, State::ESTABLISHED));
    tracker.expect_dump();
    tracker.reconcile(list, &[span(NETNS, 100)], false);
    let reconciled = tracker.reconciled();
    (tracker, reconciled)
}

#[test]
fn what_agrees_is_only_given_its_owner() {
    let (mut tracker, counts) = reconciled(vec![listed(1, State::ESTABLISHED, Since::AtLatest(100))]);
    assert_eq!(counts.total(), 0);
    let told = track(&mut tracker, event(1, 200, State::ESTABLISHED, State::CLOSE_WAIT));
    assert_eq!((told.in_old_state_ns, told.owner), (Some(180), Some(owner(7).into())));
}

#[test]
fn what_was_missed_is_counted_and_put_right() {
    let (mut tracker, counts) = reconciled(vec![listed(1, State::CLOSE_WAIT, Since::AtLatest(60))]);
    assert_eq!(counts, Reconciled { changed: 1, ..Reconciled::default() });
    let told = track(&mut tracker, event(1, 200, State::CLOSE_WAIT, State::LAST_ACK));
    assert_eq!((told.in_old_state_ns, told.at_least_ns), (None, Some(140)));

    let (tracker, counts) = reconciled(Vec::new());
    assert_eq!((counts, tracker.len()), (Reconciled { vanished: 1, ..Reconciled::default() }, 0));

    let both = vec![
        listed(1, State::ESTABLISHED, Since::AtLatest(1)),
        listed(2, State::SYN_SENT, Since::AtLatest(1)),
    ];
    assert_eq!(reconciled(both).1, Reconciled { appeared: 1, ..Reconciled::default() });
}

/// Kernels that give a socket a cookie only when somebody asks for it.
#[test]
fn what_has_no_cookie_is_no_difference() {
    let mut tracker = tracker();
    let bare = |event: Event| Event { cookie: 0, ..event };
    track(&mut tracker, bare(event(1, 20, State::SYN_SENT, State::ESTABLISHED)));
    let established = |skaddr| listed(skaddr, State::ESTABLISHED, Since::AtLatest(20));
    tracker.expect_dump();
    tracker.reconcile(vec![established(1)], &[span(NETNS, 100)], false);
    assert_eq!(tracker.reconciled().total(), 0, "it may be the one that is known");
    // Nor is one that closes while the list is made.
    tracker.expect_dump();
    track(&mut tracker, bare(event(1, 310, State::ESTABLISHED, State::CLOSE)));
    tracker.reconcile(vec![established(2)], &[span(NETNS, 300)], false);
    assert_eq!(tracker.reconciled().total(), 0);
}

#[test]
fn a_listener_whose_end_was_missed_owns_no_more() {
    let mut tracker = tracker();
    let child = |skaddr, at| event(skaddr, at, State::LISTEN, State::SYN_RECV);
    let owner = |told: &Transition| told.owner.as_ref().map(|owner| owner.pid);
    track(&mut tracker, listens(5, 10, 100));
    tracker.reconcile(vec![listed(5, State::LISTEN, Since::AtLatest(50))], &[span(NETNS, 60)], false);
    assert_eq!(owner(&track(&mut tracker, child(1, 70))), Some(7), "as the list has it");
    tracker.reconcile(Vec::new(), &[span(Some(1), 200)], false);
    assert_eq!(owner(&track(&mut tracker, child(2, 210))), Some(7), "another namespace was read");
    tracker.reconcile(Vec::new(), &[span(NETNS, 200)], false);
    assert_eq!(owner(&track(&mut tracker, child(3, 220))), None, "it is gone");
    track(&mut tracker, listens(6, 230, 300));
    assert_eq!(owner(&track(&mut tracker, child(4, 240))), Some(300), "nobody else listens there");
}

/// It had no cookie when it began to listen, and has one since it was listed.
#[test]
fn a_listener_is_the_same_with_a_cookie() {
    let mut tracker = tracker();
    track(&mut tracker, Event { cookie: 0, ..listens(5, 110, 7) });
    let mut listener = listed(5, State::LISTEN, Since::AtLatest(100));
    listener.flow.local.address = listens(5, 110, 7).flow.local.address;
    tracker.list(vec![listener], []);
    let mut ends = by_process(7, b"nginx", event(5, 300, State::LISTEN, State::CLOSE));
    ends.flow.local.address = listens(5, 110, 7).flow.local.address;
    track(&mut tracker, ends);
    let orphan = track(&mut tracker, event(2, 400, State::LISTEN, State::SYN_RECV));
    assert_eq!(orphan.owner, None, "it is gone");
}

/// Which has no cookie in events, and no owner in lists.
#[test]
fn a_listener_that_is_listed_goes_on() {
    let mut tracker = tracker();
    let begins = Event { cookie: 0, ..listens(5, 10, 100) };
    let mut listener = Preexisting { owner: None, ..listed(5, State::LISTEN, Since::AtLatest(50)) };
    listener.flow.local.address = begins.flow.local.address;
    track(&mut tracker, begins);
    tracker.reconcile(vec![listener], &[span(NETNS, 60)], false);
    let child = track(&mut tracker, event(1, 70, State::LISTEN, State::SYN_RECV));
    assert_eq!(child.owner.map(|owner| owner.pid), Some(100));
}

/// By `SO_REUSEPORT` the process of a listed listener has another one for a while, of which only its address is known.
#[test]
fn the_end_of_another_listener_is_not_that_of_the_first() {
    let mut tracker = tracker();
    let begins = Event { cookie: 0, ..listens(6, 200, 7) };
    let mut listener = listed(5, State::LISTEN, Since::AtLatest(50));
    listener.flow.local.address = begins.flow.local.address;
    tracker.list(vec![listener], []);
    let ends = Event { ktime_ns: 300, old_state: State::LISTEN, new_state: State::CLOSE, ..begins.clone() };
    track(&mut tracker, begins);
    track(&mut tracker, ends);
    let child = track(&mut tracker, event(1, 400, State::LISTEN, State::SYN_RECV));
    assert_eq!(child.owner.map(|owner| owner.pid), Some(7));
}

#[test]
fn what_happens_while_a_list_is_made_is_no_difference() {
    // It changed after the list was begun.
    let mut tracker = tracker();
    tracker.expect_dump();
    track(&mut tracker, event(1, 120, State::SYN_SENT, State::ESTABLISHED));
    // It closed after it was listed.
    track(&mut tracker, event(2, 50, State::SYN_SENT, State::ESTABLISHED));
    track(&mut tracker, event(2, 130, State::ESTABLISHED, State::CLOSE));
    let list = vec![
        listed(1, State::SYN_SENT, Since::AtLatest(100)),
        listed(2, State::ESTABLISHED, Since::AtLatest(9)),
    ];
    tracker.reconcile(list, &[span(NETNS, 100)], false);
    assert_eq!(tracker.reconciled().total(), 0);
    // It began after the walk had passed its place.
    tracker.expect_dump();
    track(&mut tracker, event(3, 310, State::CLOSE, State::SYN_SENT));
    tracker.reconcile(vec![listed(1, State::ESTABLISHED, Since::AtLatest(9))], &[span(NETNS, 300)], false);
    assert_eq!((tracker.reconciled().total(), tracker.len()), (0, 2));
    // Another namespace was not read.
    tracker.reconcile(Vec::new(), &[span(Some(1), 400)], false);
    assert_eq!(tracker.len(), 2);
}

/// The first list may take long, and has sockets that are older than the trace.
#[test]
fn a_first_list_that_comes_late_is_no_difference() {
    let mut tracker = tracker();
    tracker.expect_dump();
    let list = vec![listed(1, State::ESTABLISHED, Since::AtLatest(9))];
    tracker.reconcile(list, &[span(NETNS, 100)], true);
    assert_eq!(tracker.reconciled().total(), 0);
    let told = track(&mut tracker, event(1, 200, State::ESTABLISHED, State::CLOSE_WAIT));
    assert_eq!((told.at_least_ns, told.owner), (Some(191), Some(owner(7).into())));
}

#[test]
fn a_long_list_is_compared_in_parts() {
    let listed = |port: u16, dumped_ns| {
        let flow = Flow {
            netns: NETNS,
            local: Endpoint::new(Ipv4Addr::LOCALHOST.into(), port),
            remote: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 80),
        };
        PreexistingTimewait {
            cookie: port.into(),
            flow,
            state: State::TIME_WAIT,
            since_ns: 5,
            dumped_ns,
            device: None,
        }
    };
    let mut tracker = Tracker::new(Options { limit: 10_000, infer: true, ..Options::default() });
    tracker.list(Vec::new(), (1..=3_000).map(|port| listed(port, 10)));
    let mut compare = |begin_ns| {
        let half = (2..=3_000).step_by(2).map(|port| listed(port, begin_ns)).collect();
        tracker.confirm(half, vec![Span { netns: NETNS, begin_ns, end_ns: begin_ns + 9 }]);
        let mut parts = Vec::new();
        while tracker.is_confirming() {
            let mut part = Vec::new();
            tracker.confirm_part(|transition| part.push(transition.clone()));
            parts.push(part);
        }
        parts
    };
    let parts = compare(100);
    assert!(parts.iter().all(|part| part.len() <= 512), "no more than a batch at a time");
    let told = parts.concat();
    assert!(
        told.iter().map(|transition| transition.event.flow.local.port).eq((1..=3_000).step_by(2)),
        "the others"
    );
    let ends = |transition: &Transition| (transition.event.new_state, transition.event.ktime_ns);
    assert!(told.iter().all(|transition| ends(transition) == (State::CLOSE, 109)));
    assert!(compare(200).concat().is_empty(), "the rest is still there");
}
