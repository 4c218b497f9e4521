//! Sockets whose life is another one than the one seen last: after a loss, or in the place of what is left of a connection.

use std::net::Ipv4Addr;

use crate::common::{Moved as _, by_process, event, listens};
use tcptrace_common::{CloseEvidence, EvidenceFlags};
use tcptrace_core::{
    model::{
        close::Role,
        event::Event,
        state::State,
        transition::{Origin, Transition},
    },
    pipeline::tracker::{Options, Tracker},
};

fn track(tracker: &mut Tracker, events: impl IntoIterator<Item = Event>) -> Vec<Transition> {
    let mut out = Vec::new();
    for event in events {
        tracker.track(&mut Transition::of(event), |transition| out.push(transition.clone()));
    }
    out
}

/// A child at address 2 as kernels up to 6.12 show it.
fn nameless_child(ktime_ns: u64) -> Event {
    let any = Ipv4Addr::UNSPECIFIED.into();
    let child = event(2, ktime_ns, State::LISTEN, State::SYN_RECV);
    Event { cookie: 4_711, ..child }.laddr(any).raddr(any).rport(0)
}

#[test]
fn after_a_gap_a_listener_may_listen_again() {
    let mut tracker = Tracker::new(Options::default());
    track(&mut tracker, [listens(1, 10, 100)]);
    tracker.gap(20);
    let mut ends = listens(1, 30, 100);
    (ends.old_state, ends.new_state) = (State::LISTEN, State::CLOSE);
    let out = track(&mut tracker, [ends]);
    let closing = out[0].closing.as_ref().unwrap();
    assert_eq!((out[0].in_old_state_ns, closing.life_ns), (None, None));
    assert_eq!(closing.role, Some(Role::Listener), "but it is the same one");
}

#[test]
fn after_a_gap_an_address_alone_tells_neither_owner_nor_life_nor_peer() {
    let mut tracker = Tracker::new(Options::default());
    let anonymous = |event: Event| Event { cookie: 0, ..event };
    let child = nameless_child(12);
    let before = [by_process(9, b"curl", event(1, 10, State::CLOSE, State::SYN_SENT)), child];
    assert_eq!(track(&mut tracker, before.map(anonymous)).len(), 1);
    tracker.gap(20);
    let out = track(
        &mut tracker,
        [
            anonymous(event(1, 30, State::SYN_SENT, State::ESTABLISHED)),
            anonymous(event(1, 40, State::ESTABLISHED, State::CLOSE)),
            anonymous(event(2, 50, State::ESTABLISHED, State::FIN_WAIT1)),
        ],
    );
    assert_eq!((&out[0].owner, &out[1].owner), (&None, &None));
    let life = out[1].closing.as_ref().unwrap();
    assert_eq!((life.life_ns, &life.states[..]), (None, &[(State::ESTABLISHED, 10)][..]));
    assert_eq!(
        (out[2].event.ktime_ns, out[2].event.flow.remote.port),
        (12, 0),
        "another one has its address, perhaps"
    );
}

/// A child that has no name when it begins, and goes to FIN_WAIT1 at once, as after `accept()` with TCP Fast Open.
#[test]
fn a_child_without_a_name_takes_the_place_of_time_wait() {
    let mut tracker = Tracker::new(Options { infer: true, ..Options::default() });
    let done = CloseEvidence { flags: EvidenceFlags::DONE, ..CloseEvidence::default() };
    let closes = event(1, 1, State::FIN_WAIT2, State::CLOSE);
    let told = track(&mut tracker, [Event { evidence: Some(done), ..closes }]);
    assert_eq!(told.len(), 2, "it goes on in TIME_WAIT: {told:#?}");
    let told = track(&mut tracker, [nameless_child(20), event(2, 30, State::SYN_RECV, State::FIN_WAIT1)]);
    let ends: Vec<_> = told.iter().filter(|told| told.origin == Origin::Inferred).collect();
    assert_eq!(ends.len(), 1, "{told:#?}");
    assert_eq!((ends[0].event.old_state, ends[0].event.ktime_ns), (State::TIME_WAIT, 30));
}
