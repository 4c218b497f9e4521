//! Ends of connections, and a tracker that is told of them.

use tcptrace_common::{CloseEvidence, EvidenceFlags};
use tcptrace_core::{
    model::{
        event::{Event, Reset, Signal},
        state::State,
        transition::Transition,
    },
    pipeline::tracker::{Options, Tracker},
};

use super::event;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn tracker() -> Tracker {
    Tracker::new(Options { limit: 100, infer: true, ..Options::default() })
}

pub(crate) fn track(tracker: &mut Tracker, events: impl IntoIterator<Item = Event>) -> Vec<Transition> {
    let mut told = Vec::new();
    for event in events {
        tracker.track(&mut Transition::of(event), |transition| told.push(transition.clone()));
    }
    told
}

pub(crate) fn closes(old: State, error: i32, evidence: CloseEvidence) -> Event {
    Event { error: Some(error), evidence: Some(evidence), ..event(1, SECOND, old, State::CLOSE) }
}

pub(crate) const NONE: CloseEvidence = CloseEvidence {
    user_timeout_ms: 0,
    segs_out: 9,
    unsent: 0,
    unread: 0,
    flags: 0,
    shutdown: 0,
    retransmits: 0,
    probes_out: 0,
    facts: 0,
};
pub(crate) const CLOSED: CloseEvidence = CloseEvidence { shutdown: 3, ..NONE };
pub(crate) const LINGER: CloseEvidence = CloseEvidence { flags: EvidenceFlags::LINGER_ZERO, ..CLOSED };
pub(crate) const DONE: CloseEvidence = CloseEvidence { flags: EvidenceFlags::DONE, ..CLOSED };

pub(crate) fn last(evidence: CloseEvidence) -> Event {
    Event { ktime_ns: 8, ..closes(State::FIN_WAIT2, 0, evidence) }
}

/// Of the events' socket, which is told by its address alone.
pub(crate) fn reset(ktime_ns: u64, ports: (u16, u16), sent: bool, reason: u32) -> Signal {
    Signal::Reset(Reset { ktime_ns, skaddr: 1, cookie: 0, ports, sent, reason })
}
