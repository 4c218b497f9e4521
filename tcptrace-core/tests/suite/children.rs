//! Which listener a child comes from, and children that are no connections.

use std::net::Ipv4Addr;

use crate::common::{Moved as _, closing::track, event, listens, nameless_child};
use tcptrace_common::{CloseEvidence, Fact};
use tcptrace_core::{
    model::{
        event::{Device, Event},
        state::State,
    },
    pipeline::tracker::{Options, Span, Tracker},
};

/// Its first event has the listener's cookie, so that nothing else is needed, not even where several share the address.
#[test]
fn a_child_that_shows_its_listeners_cookie_is_that_listeners() {
    let listener =
        |skaddr, cookie, pid| Event { cookie, ..listens(skaddr, 1, pid) }.laddr(Ipv4Addr::UNSPECIFIED.into());
    let owner = |listeners: &[Event], child: Event| {
        let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
        track(&mut tracker, listeners.iter().cloned());
        let next = event(child.skaddr, 20, State::SYN_RECV, State::ESTABLISHED);
        track(&mut tracker, [child, next])[1].owner.as_ref().map(|owner| owner.pid)
    };
    let (first, second) = (listener(8, 4_711, 7), listener(9, 4_712, 8));
    let both = [first.clone(), second.clone()];
    assert_eq!(owner(&both, nameless_child(1)), Some(7));
    assert_eq!(owner(&both, Event { cookie: 4_712, ..nameless_child(1) }), Some(8));
    assert_eq!(
        owner(&both, Event { steered: true, ..nameless_child(1) }),
        Some(7),
        "it is that one all the same"
    );
    assert_eq!(owner(&[second], nameless_child(1)), None, "another one is at that address");
    assert_eq!(owner(&[Event { cookie: 0, ..first }], nameless_child(1)), Some(7), "which may be it");
}

/// A child that waits for its peer waits for its device as well.
#[test]
fn a_nameless_child_has_its_device_from_what_comes_next() {
    let device = Some(Device { ifindex: 3, name: None });
    let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
    let next = Event { device: device.clone(), ..event(1, 20, State::SYN_RECV, State::ESTABLISHED) };
    let told = track(&mut tracker, [nameless_child(1), next]);
    assert_eq!(told.iter().map(|told| &told.event.device).collect::<Vec<_>>(), [&device, &device]);
}

/// A listener on a device takes connections by that device only; the others go to whoever listens at any address.
#[test]
fn a_listener_on_a_device_leaves_other_connections_to_the_next() {
    let on_device = |pid| {
        let any = listens(8, 1, pid);
        Event { device: Some(Device { ifindex: 3, name: None }), ..any }
            .laddr(Ipv4Addr::new(192, 0, 2, 1).into())
    };
    let owner = |listeners: &[Event]| {
        let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
        track(&mut tracker, listeners.iter().cloned());
        let child = event(1, 10, State::LISTEN, State::SYN_RECV);
        track(&mut tracker, [child])[0].owner.as_ref().map(|owner| owner.pid)
    };
    assert_eq!(owner(&[on_device(7)]), Some(7), "there is no other");
    assert_eq!(owner(&[on_device(7), listens(9, 2, 7)]), Some(7));
    assert_eq!(
        owner(&[on_device(7), listens(9, 2, 8)]),
        None,
        "which of them, the child's device would tell"
    );
    let bound = Event { device: None, ..on_device(7) };
    assert_eq!(owner(&[bound, listens(9, 2, 8)]), Some(7), "its address goes before any");
}

/// A program at `sk_lookup`, or a rule for transparent proxying, chooses the listener.
#[test]
fn a_child_that_may_have_been_steered_inherits_from_nobody() {
    let owner = |child: Event| {
        let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
        let out = track(&mut tracker, [listens(8, 1, 7), child]);
        let half_open = tracker.listener_owner(out[0].event.flow.local_end(), 2);
        (out[1].owner.as_ref().map(|owner| owner.pid), half_open.map(|owner| owner.pid))
    };
    let child = event(1, 10, State::LISTEN, State::SYN_RECV);
    assert_eq!(owner(child.clone()), (Some(7), Some(7)));
    assert_eq!(owner(Event { steered: true, ..child }), (None, None), "nor do half-open ones");
}

/// What steers may be gone after a while; nothing tells of that.
#[test]
fn connections_are_not_taken_for_steered_for_ever() {
    let half_open = |later_s: u64| {
        let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
        let child = Event { steered: true, ..event(1, 10, State::LISTEN, State::SYN_RECV) };
        let local = child.flow.local_end();
        let begin_ns = later_s * 1_000_000_000;
        track(&mut tracker, [listens(8, 1, 7), child]);
        track(&mut tracker, [listens(9, begin_ns, 7).lport(1), listens(8, begin_ns, 7)]);
        tracker.reconcile(Vec::new(), &[Span { netns: local.netns, begin_ns, end_ns: begin_ns + 1 }], false);
        tracker.listener_owner(local, begin_ns + 2).map(|owner| owner.pid)
    };
    assert_eq!((half_open(500), half_open(700)), (None, Some(7)));
}

/// Both have the cookie of the request, where somebody has asked for it.
#[test]
fn a_second_child_does_not_disturb_the_first() {
    let mut tracker = Tracker::new(Options { limit: 100, ..Options::default() });
    track(&mut tracker, [listens(8, 1, 7)]);
    let child =
        |skaddr, ktime_ns| Event { cookie: 5, ..event(skaddr, ktime_ns, State::LISTEN, State::SYN_RECV) };
    let facts = Fact::Bound.said(true);
    let evidence = Some(CloseEvidence { facts, ..CloseEvidence::default() });
    let dropped = Event { cookie: 5, evidence, ..event(2, 12, State::SYN_RECV, State::CLOSE) };
    let goes_on = Event { cookie: 5, ..event(1, 30, State::SYN_RECV, State::ESTABLISHED) };
    tracker.expect_dump();
    let out = track(&mut tracker, [child(1, 10), child(2, 11), dropped, goes_on]);
    assert_eq!(out[3].in_old_state_ns, Some(20));
    assert_eq!(out[3].owner.as_ref().map(|owner| owner.pid), Some(7));
    assert_eq!((tracker.second_children(), tracker.len()), (1, 2), "the listener and one connection");
    let out =
        track(&mut tracker, [Event { cookie: 5, ..event(1, 50, State::ESTABLISHED, State::CLOSE_WAIT) }]);
    assert_eq!(out[0].in_old_state_ns, Some(20));
}
