//! What goes on after CLOSE: inferred from the evidence of the last transition, and from lists of the kernel's.

use crate::common::{
    Moved as _, by_process,
    closing::{CLOSED, DONE, SECOND, last, track, tracker},
    event,
};
use tcptrace_common::Filter;
use tcptrace_core::{
    model::{
        event::{Device, Event},
        socket_dump::PreexistingTimewait,
        socket_filter::SocketFilter,
        state::State,
        transition::{Origin, Transition},
    },
    pipeline::tracker::{Options, Span, Tracker},
};

/// Old state, new state, time, time in the old state of what was inferred.
fn inferred(told: &[Transition]) -> Vec<(State, State, u64, Option<u64>)> {
    let inferred = told.iter().filter(|told| told.origin == Origin::Inferred);
    inferred.map(|t| (t.event.old_state, t.event.new_state, t.event.ktime_ns, t.in_old_state_ns)).collect()
}

#[test]
fn time_wait_follows_and_ends() {
    let mut tracker = tracker();
    let told = track(&mut tracker, [last(DONE)]);
    assert_eq!(inferred(&told), [(State::FIN_WAIT2, State::TIME_WAIT, 8, None)]);
    let mut told = Vec::new();
    tracker.tick(60 * SECOND + 7, |transition| told.push(transition.clone()));
    assert!(told.is_empty());
    tracker.tick(61 * SECOND, |transition| told.push(transition.clone()));
    let end = (State::TIME_WAIT, State::CLOSE, 60 * SECOND + 8, Some(60 * SECOND));
    assert_eq!(inferred(&told), [end]);
}

#[test]
fn a_new_connection_takes_the_place_of_one_in_time_wait() {
    let mut tracker = tracker();
    track(&mut tracker, [last(DONE)]);
    let told = track(&mut tracker, [event(2, SECOND, State::SYN_SENT, State::ESTABLISHED)]);
    assert_eq!(inferred(&told), [(State::TIME_WAIT, State::CLOSE, SECOND, Some(SECOND - 8))]);
    assert_eq!(told[0].origin, Origin::Inferred, "it ends before the new one begins");
}

/// A list takes a moment, in which a connection may come, end, and leave what is listed. Its first events come after the list.
#[test]
fn a_connection_does_not_take_the_place_of_what_is_left_of_it() {
    let begins = Event { cookie: 0, ..event(2, 60, State::SYN_SENT, State::ESTABLISHED) };
    let flow = begins.flow;
    let ended_by = |since_ns| {
        let mut tracker = Tracker::new(Options { infer: true, cookies: false, ..Options::default() });
        let state = State::TIME_WAIT;
        let listed = PreexistingTimewait { cookie: 7, flow, state, since_ns, dumped_ns: 50, device: None };
        tracker.list(Vec::new(), [listed]);
        inferred(&track(&mut tracker, [begins.clone()])).len()
    };
    assert_eq!(ended_by(80), 0, "it is younger than the connection");
    assert_eq!(ended_by(40), 1);
}

/// Over two devices, or in two VRFs, two connections have the same ends.
#[test]
fn two_with_the_same_ends_stay_two() {
    let mut tracker = tracker();
    let second = Event { skaddr: 2, cookie: 2, ktime_ns: 9, ..last(DONE) };
    let told = track(&mut tracker, [last(DONE), second.clone()]);
    let waits = |told: &[Transition]| inferred(told).iter().filter(|told| told.1 == State::TIME_WAIT).count();
    assert_eq!((waits(&told), inferred(&told).len()), (2, 2), "neither has taken the other's place");
    let Event { flow, cookie, .. } = second;
    let third = event(3, SECOND / 2, State::SYN_SENT, State::ESTABLISHED);
    assert_eq!(inferred(&track(&mut tracker, [third])), [], "which one's place it takes is not to be seen");
    let listed = PreexistingTimewait {
        cookie,
        flow,
        state: State::TIME_WAIT,
        since_ns: 9,
        dumped_ns: SECOND,
        device: None,
    };
    let mut told = Vec::new();
    tracker.confirm(vec![listed], vec![Span { netns: flow.netns, begin_ns: SECOND, end_ns: SECOND + 1 }]);
    while tracker.is_confirming() {
        tracker.confirm_part(|transition| told.push(transition.clone()));
    }
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.cookie, last(DONE).cookie, "the one that is not listed is gone");
    tracker.tick(61 * SECOND, |transition| told.push(transition.clone()));
    assert_eq!((told.len(), told[1].event.cookie), (2, 2));
}

/// The kernel tells connections on two devices apart, and so does tcptrace where it knows both devices.
#[test]
fn a_connection_on_another_device_takes_no_place() {
    let on = |ifindex| Some(Device { ifindex, name: None });
    let replaced = |timewait, next: Event| {
        let mut tracker = tracker();
        track(&mut tracker, [Event { device: timewait, ..last(DONE) }]);
        let told = track(&mut tracker, [next]);
        inferred(&told).len()
    };
    let next = |device| Event { device, ..event(2, SECOND, State::SYN_SENT, State::ESTABLISHED) };
    assert_eq!(replaced(on(3), next(on(3))), 1);
    assert_eq!(replaced(on(3), next(on(4))), 0);
    assert_eq!(replaced(on(3), next(None)), 0);
    assert_eq!(replaced(None, next(on(4))), 1, "one that is bound to no device is on all of them");
    let child = |device| Event { device, ..event(2, SECOND, State::LISTEN, State::SYN_RECV) };
    assert_eq!(replaced(on(3), child(on(3))), 0, "that is the listener's device");
    assert_eq!(replaced(None, child(None)), 1);
}

/// A list knows less of a timewait socket than the events of its connection have shown.
#[test]
fn a_list_takes_nothing_from_what_events_have_shown() {
    let mut tracker = tracker();
    let device = Some(Device { ifindex: 3, name: Some("red".into()) });
    let closed = Event { device: device.clone(), ..last(DONE) };
    track(&mut tracker, [by_process(7, b"app", closed.clone())]);
    let (flow, cookie) = (closed.flow, closed.cookie);
    let listed = |cookie| PreexistingTimewait {
        flow,
        cookie,
        state: State::TIME_WAIT,
        since_ns: 9,
        dumped_ns: 10,
        device: Some(Device { ifindex: 3, name: None }),
    };
    let mut other = flow;
    other.local.port = 81;
    tracker.list(Vec::new(), [listed(cookie), PreexistingTimewait { flow: other, ..listed(9) }]);
    let mut told = Vec::new();
    tracker.tick(61 * SECOND, |transition| told.push(transition.clone()));
    assert_eq!(told.len(), 2, "{told:#?}");
    let (known, preexisting) = if told[0].event.cookie == cookie { (0, 1) } else { (1, 0) };
    assert_eq!((&told[known].event.device, told[known].event.skaddr), (&device, closed.skaddr));
    assert_eq!(told[preexisting].event.device, listed(9).device, "of the other one, the list tells");
}

/// Once one of them is over, a new connection can only take the other's place.
#[test]
fn of_two_with_the_same_ends_the_last_one_can_be_replaced() {
    for cookie in [last(DONE).cookie, 2] {
        let mut tracker = tracker();
        let second = Event { skaddr: 2, cookie: 2, ktime_ns: 9, ..last(DONE) };
        track(&mut tracker, [last(DONE), second]);
        let flow = last(DONE).flow;
        let listed = PreexistingTimewait {
            cookie,
            flow,
            state: State::TIME_WAIT,
            since_ns: 9,
            dumped_ns: SECOND,
            device: None,
        };
        tracker.confirm(vec![listed], vec![Span { netns: flow.netns, begin_ns: SECOND, end_ns: SECOND + 1 }]);
        while tracker.is_confirming() {
            tracker.confirm_part(|_| {});
        }
        let new = event(3, 2 * SECOND, State::SYN_SENT, State::ESTABLISHED);
        let told = track(&mut tracker, [new]);
        assert_eq!((inferred(&told).len(), told[0].event.cookie), (1, cookie));
        // And then nobody's.
        let new = event(4, 3 * SECOND, State::SYN_SENT, State::ESTABLISHED);
        assert_eq!(inferred(&track(&mut tracker, [new])), []);
    }
}

/// An address of a link is the same on each device.
#[test]
fn on_a_link_a_new_connection_need_not_take_the_place_of_the_old_one() {
    let on_link = |event: Event| {
        let [laddr, raddr] = ["fe80::1", "fe80::2"].map(|address| address.parse().unwrap());
        event.laddr(laddr).raddr(raddr)
    };
    let mut tracker = tracker();
    track(&mut tracker, [on_link(last(DONE))]);
    let new = on_link(event(2, SECOND, State::SYN_SENT, State::ESTABLISHED));
    assert_eq!(inferred(&track(&mut tracker, [new])), []);
}

#[test]
fn a_list_tells_what_became_of_one_that_waits_for_a_fin() {
    let confirmed = |sockets: &[PreexistingTimewait], begin_ns| {
        let mut tracker = tracker();
        let closed = last(CLOSED);
        let netns = closed.flow.netns;
        assert_eq!(inferred(&track(&mut tracker, [closed])), [], "it stays in FIN_WAIT2");
        assert!(tracker.wants_dump());
        let mut told = Vec::new();
        tracker.confirm(sockets.to_vec(), vec![Span { netns, begin_ns, end_ns: SECOND }]);
        while tracker.is_confirming() {
            tracker.confirm_part(|transition| told.push(transition.clone()));
        }
        tracker.tick(100 * SECOND, |transition| told.push(transition.clone()));
        inferred(&told)
    };
    let last = last(CLOSED);
    let seen = |state| {
        let Event { flow, cookie, .. } = last;
        [PreexistingTimewait { cookie, flow, state, since_ns: 500, dumped_ns: 100, device: None }]
    };
    let time_wait = (State::FIN_WAIT2, State::TIME_WAIT, 500, Some(492));
    let end = (State::TIME_WAIT, State::CLOSE, 60 * SECOND + 500, Some(60 * SECOND));
    assert_eq!(confirmed(&seen(State::TIME_WAIT), 100), [time_wait, end]);
    assert_eq!(confirmed(&seen(State::FIN_WAIT2), 100), []);
    assert_eq!(confirmed(&[], 100), [(State::FIN_WAIT2, State::CLOSE, SECOND, Some(SECOND - 8))]);
    assert_eq!(confirmed(&[], 3), [], "the list is older than the socket");
}

fn wanted(filter: &Filter) -> SocketFilter {
    SocketFilter { filter: *filter, ..SocketFilter::default() }
}

#[test]
fn filters_on_states_apply_to_what_is_inferred() {
    let filter = Filter { states: 1 << State::TIME_WAIT.0, ..Filter::NONE };
    let mut tracker =
        Tracker::new(Options { limit: 9, infer: true, wanted: wanted(&filter), ..Options::default() });
    let mut hidden = last(DONE);
    hidden.verdict = tcptrace_core::model::event::Verdict::Hidden;
    assert_eq!(track(&mut tracker, [hidden]).len(), 1);
    let filter = Filter { new_states: 1 << State::CLOSE_WAIT.0, ..Filter::NONE };
    let mut tracker =
        Tracker::new(Options { limit: 9, infer: true, wanted: wanted(&filter), ..Options::default() });
    assert_eq!(track(&mut tracker, [last(DONE)]).len(), 1);
}

#[test]
fn timewait_sockets_are_bounded() {
    let mut tracker = Tracker::new(Options { limit: 3, infer: true, ..Options::default() });
    for port in 1..=5 {
        track(&mut tracker, [last(DONE).rport(port)]);
    }
    assert_eq!(tracker.evicted(), 2);
    let mut told = Vec::new();
    tracker.tick(100 * SECOND, |transition| told.push(transition.event.flow.remote.port));
    assert_eq!(told, [3, 4, 5]);
}

#[test]
fn none_follows_where_the_kernel_makes_none() {
    let mut tracker = tracker();
    let netns = last(DONE).flow.netns;
    tracker.limit_timewait([(netns, 2)]);
    let ends = |rport, ktime_ns| Event { ktime_ns, ..last(DONE) }.rport(rport);
    let mut told = |event| track(&mut tracker, [event]).len();
    // The end itself, and what follows from it.
    assert_eq!([1, 2, 3].map(|port| told(ends(port, 8))), [2, 2, 1]);
    // One that a list told of before its end was tracked.
    let listed = PreexistingTimewait {
        flow: ends(9, 8).flow,
        cookie: last(DONE).cookie,
        state: State::TIME_WAIT,
        since_ns: 8,
        dumped_ns: 9,
        device: None,
    };
    tracker.list(Vec::new(), [listed]);
    let mut told = |event| track(&mut tracker, [event]).len();
    assert_eq!([9, 10].map(|port| told(ends(port, 8))), [2, 1]);
    // Another namespace has its own.
    assert_eq!(told(ends(4, 8).netns(Some(7))), 2);
    // One of another kind counts as well, and those that are over do not.
    let waits = Event { evidence: Some(CLOSED), ..ends(5, 100 * SECOND) };
    assert_eq!([told(waits), told(ends(6, 100 * SECOND)), told(ends(7, 100 * SECOND))], [5, 2, 1]);
    // It is not known for ever.
    tracker.limit_timewait([(Some(7), 1)]);
    assert_eq!(track(&mut tracker, [ends(8, 100 * SECOND)]).len(), 2);
}
