//! The end of a trace, as far as a replay knows it. Where the replay does not reach the end, the last counters are a little
//! older: records that they include may be missing, and records may have come since.

use tcptrace_common::{Counters, HalfOpenCounters, state_slot};

use crate::{
    model::{
        input::{Counted, Ended, Input},
        loss::Lost,
    },
    pipeline::{
        decode::{is_half_open, is_signal, records, states},
        half_open::{self, EventKind},
    },
};

/// The end of a trace, as far as the inputs show it.
#[derive(Default)]
pub struct Tail {
    ended: Option<Ended>,
    counted: Counted,
    lost: Lost,
    half_open_missed: u64,
    now_ns: u64,
    transitions: Backlog,
    half_open: Backlog,
    /// Counts of the records that came after the last counters were read, and are not in them.
    newer: Counted,
}

/// The records of one kind, compared with their counters.
#[derive(Clone, Copy, Default)]
struct Backlog {
    /// The number of records read in all.
    read: u64,
    /// The number of records that were counted and have not come yet: the counters are read before the ring.
    due: u64,
}

impl Backlog {
    fn counted(&mut self, submitted: u64) {
        self.due = submitted.saturating_sub(self.read);
    }

    /// Takes a record. Returns whether it is newer than the counters.
    fn is_newer(&mut self) -> bool {
        self.read += 1;
        let is_newer = self.due == 0;
        self.due = self.due.saturating_sub(1);
        is_newer
    }
}

/// Records that were counted and did not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailGap {
    /// Transitions.
    pub transitions: u64,
    /// Records of half-open connections.
    pub half_open: u64,
}

impl Tail {
    /// Takes note of an input. Returns whether the trace has reached `end_ns`.
    pub fn note(&mut self, input: &Input<'_>, end_ns: Option<u64>) -> bool {
        match input {
            Input::Entry(entry) => self.entry(entry),
            Input::Counted(counted) => {
                self.transitions.counted(on_their_way(&counted.counters));
                self.half_open.counted(counted.half_open.submitted());
                (self.counted, self.newer) = (counted.as_ref().clone(), Counted::default());
            }
            Input::Checked(checked) => {
                (self.lost, self.now_ns) = (checked.lost, checked.now_ns);
                self.half_open_missed = checked.half_open.1;
            }
            Input::Ended(ended) => self.ended = Some(ended.as_ref().clone()),
            _ => {}
        }
        end_ns.is_some_and(|end_ns| self.now_ns >= end_ns)
    }

    fn entry(&mut self, entry: &[u8]) {
        let Counted { counters, half_open } = &mut self.newer;
        for record in records(entry).filter(|record| !is_signal(record)) {
            if is_half_open(record) {
                if self.half_open.is_newer() {
                    let is_syn = half_open::decode(record).is_ok_and(|event| event.kind == EventKind::Syn);
                    *(if is_syn { &mut half_open.syns } else { &mut half_open.retransmits }) += 1;
                }
            } else if self.transitions.is_newer() {
                let (old_state, new_state) = states(record);
                counters.seen[state_slot(old_state)][state_slot(new_state)] += 1;
                counters.delivered += 1;
            }
        }
    }

    /// The records that were counted and did not come, where the end was not reached.
    pub fn missing(&self) -> TailGap {
        if self.ended.is_some() {
            return TailGap::default();
        }
        TailGap { transitions: self.transitions.due, half_open: self.half_open.due }
    }

    /// The end. Where it was not reached, the last known counters stand for it.
    pub fn ended(self) -> Ended {
        let Self { lost, newer, now_ns, half_open_missed, .. } = self;
        self.ended.unwrap_or_else(|| {
            let missed_signals = lost.others.saturating_sub(self.counted.counters.signals_lost);
            let counted = self.counted.and(&newer);
            Ended {
                end_ns: now_ns,
                missed_runs: Some(lost.missed_runs),
                missed_signals,
                half_open_missed,
                submitted: Some(on_their_way(&counted.counters)),
                counted,
                ..Ended::default()
            }
        })
    }
}

/// Transitions that the kernel side has put on the ring or will put there: those seen, except those filtered, sampled out or
/// lost.
fn on_their_way(counters: &Counters) -> u64 {
    let Counters { filtered, lost_ring_full, sampled_out, .. } = counters;
    let others = filtered.saturating_add(*lost_ring_full).saturating_add(*sampled_out);
    counters.total_seen().saturating_sub(others)
}

impl Counted {
    fn and(&self, newer: &Self) -> Self {
        let (mut counters, mut half_open) = (self.counters, self.half_open);
        Counters::add(&mut counters, &newer.counters);
        HalfOpenCounters::add(&mut half_open, &newer.half_open);
        Self { counters, half_open }
    }
}
