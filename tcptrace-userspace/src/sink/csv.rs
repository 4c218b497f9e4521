//! Comma-separated values: the fields of the JSON output, flattened, absent values empty.

use std::{fmt, io};

use super::Sink;
use crate::{
    clock::Clock,
    record::{Loss, Provenance, Record, Transition},
    state::State,
    text::Escaped,
};

const COLUMNS: [&str; 29] = [
    "type",
    "time",
    "ktime_ns",
    "cookie",
    "netns",
    "family",
    "laddr",
    "lport",
    "raddr",
    "rport",
    "old_state",
    "new_state",
    "duration_us",
    "owner_pid",
    "owner_comm",
    "owner_uid",
    "owner_provenance",
    "context_pid",
    "context_tid",
    "context_comm",
    "context_uid",
    "context_cgroup_id",
    "context_in_process",
    "close_error",
    "close_bytes_acked",
    "close_bytes_received",
    "close_srtt_us",
    "close_retransmits",
    "lost",
];

pub(super) struct Csv {
    clock: Clock,
}

impl Csv {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        row(out, COLUMNS.map(str::to_owned))
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => row(out, transition_row(&self.clock, transition)),
            Record::Loss(loss) => row(out, loss_row(&self.clock, loss)),
            // The account does not fit into these columns; it goes to standard error.
            Record::Summary(_) => Ok(()),
        }
    }
}

fn row(out: &mut Vec<u8>, fields: [String; COLUMNS.len()]) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(out);
    writer.write_record(fields)?;
    writer.flush()
}

fn transition_row(clock: &Clock, transition: &Transition) -> [String; COLUMNS.len()] {
    let event = &transition.event;
    let (context, owner) = (&event.context, transition.owner.as_ref());
    let metrics = event.metrics;
    let closing = event.new_state == State::CLOSE;
    [
        "transition".to_owned(),
        rfc3339(clock, event.ktime_ns).to_string(),
        event.ktime_ns.to_string(),
        event.cookie.to_string(),
        shown(event.netns),
        event.family().to_string(),
        event.laddr.to_string(),
        event.lport.to_string(),
        event.raddr.to_string(),
        event.rport.to_string(),
        event.old_state.to_string(),
        event.new_state.to_string(),
        shown(transition.in_old_state_ns.map(|ns| ns / 1_000)),
        shown(owner.map(|owner| owner.pid)),
        shown(owner.map(|owner| Escaped(&owner.comm))),
        shown(owner.map(|owner| owner.uid)),
        shown(owner.map(|owner| match owner.provenance {
            Provenance::Exact => "exact",
            Provenance::Inherited => "inherited",
        })),
        context.pid.to_string(),
        context.tid.to_string(),
        Escaped(&context.comm).to_string(),
        context.uid.to_string(),
        context.cgroup_id.to_string(),
        shown(context.in_process),
        shown(event.error.filter(|_| closing)),
        shown(metrics.map(|metrics| metrics.bytes_acked)),
        shown(metrics.map(|metrics| metrics.bytes_received)),
        shown(metrics.map(|metrics| metrics.srtt_us)),
        shown(metrics.map(|metrics| metrics.retransmits)),
        String::new(),
    ]
}

fn loss_row(clock: &Clock, loss: &Loss) -> [String; COLUMNS.len()] {
    let mut fields = [const { String::new() }; COLUMNS.len()];
    "loss".clone_into(&mut fields[0]);
    fields[1] = rfc3339(clock, loss.ktime_ns).to_string();
    fields[2] = loss.ktime_ns.to_string();
    fields[COLUMNS.len() - 1] = loss.lost.total().to_string();
    fields
}

fn shown(value: Option<impl fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// RFC 3339 in UTC with nine digits of nanoseconds.
pub(super) fn rfc3339(clock: &Clock, ktime_ns: u64) -> impl fmt::Display {
    struct Nine(jiff::Timestamp);
    impl fmt::Display for Nine {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:.9}", self.0)
        }
    }
    Nine(clock.time(ktime_ns))
}
