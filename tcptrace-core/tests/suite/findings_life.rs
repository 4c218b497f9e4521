//! The life of a finding in a trace without an end: it begins, changes and ends, and begins again when the fault comes back.

use tcptrace_core::{
    diagnosis::{
        Detection,
        detect::{Options, Seen},
    },
    model::{close::Cause, record::Phase, state::State, transition::Transition},
};

use crate::common::{
    scans::{ended, scan, socket},
    shown::Shown,
};

/// Scans every five seconds for ten minutes: as long as anything is remembered.
const SCANS: u64 = 120;

fn refused() -> Transition {
    let Shown::Transition(refused) = ended(Cause::Refused, 1, 10, None) else { unreachable!("it ends") };
    refused
}

fn connected() -> Transition {
    let mut connected = Transition { closing: None, ..refused() };
    connected.event.new_state = State::ESTABLISHED;
    connected
}

/// A trace of which every scan has the same sockets.
struct Watch {
    detection: Detection,
    scans: u64,
    sockets: Vec<Seen>,
}

impl Watch {
    fn new(forgets: bool) -> Self {
        let options = Options { forgets, ..Options::default() };
        Self { detection: Detection::new(options), scans: 0, sockets: Vec::new() }
    }

    fn take(&mut self, transition: &Transition, times: u64) {
        (0..times).for_each(|_| self.detection.transition(transition));
    }

    /// What becomes of findings of a kind during so many scans.
    fn scan(&mut self, scans: u64, id: &str) -> Vec<Phase> {
        let mut phases = Vec::new();
        for _ in 0..scans {
            self.scans += 1;
            let scan = scan(self.scans * 5, self.sockets.clone());
            let found = self.detection.scanned(Ok(scan));
            phases.extend(found.iter().filter(|found| found.finding.id == id).map(|found| found.phase));
        }
        phases
    }
}

#[test]
fn a_fault_that_comes_again_begins_again() {
    let mut watch = Watch::new(true);
    watch.take(&refused(), 20);
    assert_eq!(watch.scan(2, "connection-refused"), [Phase::Begun], "once");
    assert_eq!(watch.scan(SCANS, "connection-refused"), [Phase::Ended], "nobody is refused any more");
    watch.take(&refused(), 20);
    assert_eq!(watch.scan(1, "connection-refused"), [Phase::Begun], "it is another time");
}

#[test]
fn a_fault_that_stays_begins_once_and_does_not_end() {
    let mut watch = Watch::new(true);
    let mut phases = Vec::new();
    for _ in 0..3 * SCANS {
        watch.take(&refused(), 10);
        phases.extend(watch.scan(1, "connection-refused"));
    }
    assert_eq!(phases, [Phase::Begun]);
}

#[test]
fn what_went_well_yesterday_does_not_hide_what_fails_now() {
    let mut watch = Watch::new(true);
    watch.take(&connected(), 10_000);
    watch.take(&refused(), 20);
    assert_eq!(watch.scan(1, "connection-refused"), [], "few of many");
    assert_eq!(watch.scan(SCANS, "connection-refused"), []);
    watch.take(&refused(), 20);
    assert_eq!(watch.scan(1, "connection-refused"), [Phase::Begun], "all of the last minutes");
}

/// What a report is made of at the end has the whole watch.
#[test]
fn a_watch_with_an_end_forgets_nothing() {
    let mut watch = Watch::new(false);
    watch.take(&refused(), 20);
    assert_eq!(watch.scan(3 * SCANS, "connection-refused"), [Phase::Begun]);
    assert_eq!(watch.detection.findings().len(), 1);
}

/// One scan in which a leak does not show is no end; three are, and what is closed at once has ended once.
#[test]
fn what_scans_show_no_more_has_ended() {
    let mut watch = Watch::new(true);
    let leak: Vec<Seen> = (0..200).map(|number| socket(State::CLOSE_WAIT, number, 812)).collect();
    watch.sockets.clone_from(&leak);
    assert_eq!(watch.scan(24, "close-wait-leak").first(), Some(&Phase::Begun));
    watch.sockets.clear();
    assert_eq!(watch.scan(2, "close-wait-leak"), []);
    assert_eq!(watch.scan(3, "close-wait-leak"), [Phase::Ended]);
    assert_eq!(watch.scan(SCANS, "close-wait-leak"), []);
    watch.sockets = leak;
    assert_eq!(watch.scan(24, "close-wait-leak").first(), Some(&Phase::Begun));
}

/// Each generation begins beside the one before: no fault is missed between them.
#[test]
fn a_fault_at_any_time_begins_within_a_scan() {
    for after in 0..2 * SCANS {
        let mut watch = Watch::new(true);
        watch.scan(after, "connection-refused");
        watch.take(&refused(), 20);
        assert_eq!(watch.scan(1, "connection-refused"), [Phase::Begun], "after {after} scans");
    }
}
