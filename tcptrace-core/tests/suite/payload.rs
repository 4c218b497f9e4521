//! Bytes of data, from counters in sequence space: SYN and FIN are subtracted where they are known to be in them, and the
//! count is marked where they may be.

use crate::common::{
    event,
    scans::{INFO, socket},
};
use tcptrace_common::{CloseEvidence, CloseMetrics, EvidenceFlags};
use tcptrace_core::model::{
    close::{Closing, Role},
    event::Event,
    payload::{Count, Payload},
    socket::Info,
    state::State,
    transition::Transition,
};

const EXACT: fn(u64) -> Count = |bytes| Count { bytes, exact: true };
const MARKED: fn(u64) -> Count = |bytes| Count { bytes, exact: false };

/// An end with 1000 bytes acknowledged and 500 received, by the kernel's counters.
fn end(role: Option<Role>, old_state: State, error: i32, evidence: Option<CloseEvidence>) -> Transition {
    let metrics = CloseMetrics { bytes_acked: 1_000, bytes_received: 500, ..CloseMetrics::default() };
    let event = Event {
        metrics: Some(metrics),
        error: Some(error),
        evidence,
        ..event(7, 1_000, old_state, State::CLOSE)
    };
    Transition { closing: Some(Box::new(Closing { role, ..Closing::default() })), ..Transition::of(event) }
}

fn counted(end: &Transition) -> (Count, Count) {
    let Payload { sent, received } = Payload::of_end(end).unwrap();
    (sent, received)
}

fn evidence(fin_has_come: bool) -> CloseEvidence {
    let flags = if fin_has_come { EvidenceFlags::DONE } else { 0 };
    CloseEvidence { flags, ..CloseEvidence::default() }
}

#[test]
fn ends_in_good_order() {
    use Role::{Client, Server};
    // What there is beside data: SYN of the one that connected, FIN that is acknowledged, FIN that has come.
    for (role, old_state, came, beside) in [
        (Client, State::FIN_WAIT2, true, (2, 1)),
        (Client, State::FIN_WAIT2, false, (2, 0)),
        (Server, State::FIN_WAIT2, true, (1, 1)),
        (Client, State::LAST_ACK, true, (2, 1)),
        (Server, State::LAST_ACK, true, (1, 1)),
        (Client, State::CLOSING, true, (2, 1)),
    ] {
        let told = counted(&end(Some(role), old_state, 0, Some(evidence(came))));
        assert_eq!(told, (EXACT(1_000 - beside.0), EXACT(500 - beside.1)), "{role:?} {old_state} {came}");
    }
}

#[test]
fn ends_with_an_error() {
    use Role::{Client, Server};
    for (role, old_state, error, came, beside) in [
        (Client, State::ESTABLISHED, 104, false, (1, 0)),
        (Server, State::ESTABLISHED, 0, false, (0, 0)),
        (Server, State::CLOSE_WAIT, 32, true, (0, 1)),
        // Its FIN is under way.
        (Client, State::FIN_WAIT1, 104, false, (1, 0)),
        (Server, State::LAST_ACK, 104, true, (0, 1)),
        (Client, State::LAST_ACK, 110, true, (1, 1)),
        // It had been acknowledged.
        (Client, State::FIN_WAIT2, 104, false, (2, 0)),
    ] {
        let told = counted(&end(Some(role), old_state, error, Some(evidence(came))));
        assert_eq!(told, (EXACT(1_000 - beside.0), EXACT(500 - beside.1)), "{role:?} {old_state} {error}");
    }
    // A last acknowledgement that did not come, and what an error that was there before tells of it: nothing.
    let given_up = CloseEvidence { retransmits: 9, ..evidence(true) };
    assert_eq!(counted(&end(Some(Server), State::LAST_ACK, 0, Some(given_up))).0, EXACT(1_000));
    assert_eq!(counted(&end(Some(Server), State::LAST_ACK, 113, Some(evidence(true)))).0, MARKED(1_000));
}

/// Before Linux 6.10 the kernel gives no reason for a reset.
#[test]
fn a_reset_that_is_sent_acknowledges_no_fin() {
    let sent = |reset_sent| {
        let mut end = end(Some(Role::Server), State::LAST_ACK, 0, Some(evidence(true)));
        let closing = Closing { reset_sent, ..end.closing.as_deref().unwrap().clone() };
        end.closing = Some(Box::new(closing));
        counted(&end).0
    };
    assert_eq!(sent(Some(true)), EXACT(1_000));
    assert_eq!((sent(Some(false)), sent(None)), (EXACT(999), EXACT(999)), "none was sent");
}

#[test]
fn what_is_not_known_is_marked() {
    let told = counted(&end(None, State::FIN_WAIT2, 0, Some(evidence(true))));
    assert_eq!(told, (MARKED(999), EXACT(499)), "who connected was not seen");
    let told = counted(&end(Some(Role::Client), State::LAST_ACK, 0, None));
    assert_eq!(told, (MARKED(999), EXACT(499)), "the FIN has come, or it would not be in this state");
    let told = counted(&end(Some(Role::Client), State::FIN_WAIT2, 0, None));
    assert_eq!(told, (EXACT(998), MARKED(500)));
    assert_eq!(Payload::of_end(&Transition::of(event(7, 1, State::ESTABLISHED, State::CLOSE))), None);
    // Nothing is nothing, whatever could be in it.
    let mut nothing = end(None, State::SYN_SENT, 111, None);
    nothing.event.metrics = Some(CloseMetrics::default());
    assert_eq!(counted(&nothing), (EXACT(0), EXACT(0)));
}

/// An open connection that sent 1000 bytes of data, 40 of them twice.
fn open(state: State, bytes_acked: u64, unacked: u32) -> (Count, Count) {
    let mut seen = socket(state, 1, 812);
    seen.socket.info = Some(Info {
        bytes_acked,
        bytes_received: 500,
        unacked,
        bytes_sent: Some(1_040),
        bytes_retrans: Some(40),
        ..INFO
    });
    let Payload { sent, received } = Payload::of_socket(&seen.socket).unwrap();
    (sent, received)
}

#[test]
fn open_connections() {
    assert_eq!(open(State::ESTABLISHED, 1_001, 0), (EXACT(1_000), EXACT(500)), "it connected");
    assert_eq!(open(State::ESTABLISHED, 1_000, 0), (EXACT(1_000), EXACT(500)), "it was connected to");
    assert_eq!(open(State::CLOSE_WAIT, 1_000, 0), (EXACT(1_000), EXACT(499)));
    assert_eq!(open(State::FIN_WAIT2, 1_001, 0), (EXACT(1_000), EXACT(500)));
    assert_eq!(open(State::FIN_WAIT2, 1_002, 0), (EXACT(1_000), EXACT(500)));
    // On its way may be data or a FIN; and what this host dropped itself is counted twice.
    assert_eq!(open(State::FIN_WAIT1, 1_001, 1).0, MARKED(1_001));
    assert_eq!(open(State::ESTABLISHED, 700, 1).0, MARKED(700));
    assert_eq!(open(State::ESTABLISHED, 600, 0).0, MARKED(600));
    assert_eq!(open(State::SYN_SENT, 0, 1).0, EXACT(0));
    // Of a capture that an older version made.
    let mut seen = socket(State::ESTABLISHED, 1, 812);
    seen.socket.info = Some(Info { bytes_acked: 1_001, ..INFO });
    assert_eq!(Payload::of_socket(&seen.socket).unwrap().sent, MARKED(1_001));
}
