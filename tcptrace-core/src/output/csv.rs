//! Comma-separated values: the fields of the JSON output, flattened, absent values empty.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use super::{
    cached::{Cached, Whose},
    csv_put::{
        next, next_addresses, next_closing, next_device, next_figures, next_name, next_number, next_owner,
        next_process, next_word,
    },
    put,
};
use crate::{
    model::{
        clock::{Clock, TimeFormat},
        event::Context,
        half_open::Change,
        owner::Owner,
        record::Record,
        state::State,
        transition::{Origin, Transition},
    },
    pipeline::Sink,
};

const COLUMNS: [&str; 44] = [
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
    "origin",
    "close_cause",
    "close_reset_reason",
    "close_role",
    "close_life_us",
    "duration_min_us",
    "owner_exe",
    "owner_unit",
    "owner_container",
    "owner_others",
    "half_open_cause",
    "half_open_retransmits",
    "half_open_open",
    "ifindex",
    "device",
];
/// Where `lost` stands, and how many follow it: new columns go to the end.
const LOST: usize = 28;
const AFTER_LOST: usize = COLUMNS.len() - 1 - LOST;

pub(super) struct Csv {
    time: TimeFormat,
    whose: Cached<Whose>,
    owners: Cached<Arc<Owner>>,
    contexts: Cached<Context>,
    processes: Cached<Arc<Owner>>,
}

impl Csv {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            time: TimeFormat::rfc3339(clock),
            whose: Cached::default(),
            owners: Cached::default(),
            contexts: Cached::default(),
            processes: Cached::default(),
        }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        writeln!(out, "{}", COLUMNS.join(","))
    }

    /// The fields follow `COLUMNS`.
    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        let event = &transition.event;
        out.extend_from_slice(b"transition,");
        out.extend_from_slice(self.time.format(event.ktime_ns).as_bytes());
        next(out, |out| put::number(out, event.ktime_ns));
        let whose = Whose::of(event);
        self.whose.put(out, &whose, whose.number(), |out, _| {
            next(out, |out| put::number(out, event.cookie));
            next_number(out, event.netns);
            next_addresses(out, (event.laddr, event.lport), (event.raddr, event.rport));
            Ok(())
        })?;
        next(out, |out| put::state(out, event.old_state));
        next(out, |out| put::state(out, event.new_state));
        next_number(out, transition.in_old_state_ns.map(|ns| ns / 1_000));
        match &transition.owner {
            None => next_owner(out, None),
            Some(owner) => self.owners.put(out, owner, owner.number(), |out, owner| {
                next_owner(out, Some(owner));
                Ok(())
            })?,
        }
        match transition.origin {
            Origin::Observed => self.contexts.put(out, &event.context, event.context.tid, |out, known| {
                context(out, known);
                Ok(())
            })?,
            // Nothing ran.
            Origin::Inferred => out.extend_from_slice(b",,,,,,"),
        }
        let is_end = event.new_state == State::CLOSE;
        if is_end {
            next_number(out, event.error);
            next_figures(out, transition);
        } else {
            out.extend_from_slice(b",,,,,");
        }
        // Nothing is lost here.
        out.push(b',');
        next_word(out, Some(transition.origin.name()));
        if is_end {
            next_closing(out, transition.closing.as_deref());
        } else {
            out.extend_from_slice(b",,,,");
        }
        next_number(out, transition.at_least_ns.map(|ns| ns / 1_000));
        match &transition.owner {
            None => out.extend_from_slice(b",,,,"),
            Some(owner) => self.processes.put(out, owner, owner.number(), |out, owner| {
                process(out, owner);
                Ok(())
            })?,
        }
        out.extend_from_slice(b",,,");
        next_device(out, event.device.as_ref());
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out)?,
            Record::HalfOpen(change) => half_open_row(out, self.time.format(change.ktime_ns), change),
            Record::Loss(loss) => {
                loss_row(out, b"loss,", self.time.format(loss.ktime_ns), loss.ktime_ns, loss.lost.total());
            }
            Record::Clock(change) => self.time.set_clock(change.clock),
            Record::Degraded(it) => {
                let time = self.time.format(it.ktime_ns);
                loss_row(out, b"degraded,", time, it.ktime_ns, it.sampled_out.total());
            }
            Record::HalfOpenLoss(loss) => {
                let time = self.time.format(loss.ktime_ns);
                loss_row(out, b"half_open_loss,", time, loss.ktime_ns, loss.lost.total());
            }
            // The account and findings do not fit into these columns; they go to standard error.
            Record::Summary(_) | Record::Finding(_) | Record::Stats(_) => {}
        }
        Ok(())
    }
}

/// Appends the fields of what ran.
fn context(out: &mut Vec<u8>, context: &Context) {
    next(out, |out| put::number(out, context.pid));
    next(out, |out| put::number(out, context.tid));
    next_name(out, Some(&context.comm));
    next(out, |out| put::number(out, context.uid));
    next(out, |out| put::number(out, context.cgroup_id));
    next_word(out, context.in_process.map(|held| if held { "true" } else { "false" }));
}

/// Appends the fields of what an owner is, and how many own the socket beside it.
fn process(out: &mut Vec<u8>, owner: &Owner) {
    next_process(out, owner.process.as_deref());
    next_number(out, Some(owner.others.as_ref().map_or(0, |others| others.len())));
}

/// Appends a row for a half-open connection: the columns that it shares with a transition, and its own.
fn half_open_row(out: &mut Vec<u8>, time: &str, change: &Change) {
    let connection = &change.connection;
    let (old, new) = change.what.states();
    out.extend_from_slice(b"half_open,");
    out.extend_from_slice(time.as_bytes());
    next(out, |out| put::number(out, change.ktime_ns));
    next(out, |out| put::number(out, connection.cookie));
    next_number(out, connection.netns);
    next_addresses(out, (connection.laddr, connection.lport), (connection.raddr, connection.rport));
    next(out, |out| put::state(out, old));
    next(out, |out| put::state(out, new));
    next_number(out, change.age_ns.map(|ns| ns / 1_000));
    next_owner(out, change.owner.as_deref());
    let (filled, own, behind) = (17, 3, 2);
    out.resize(out.len() + COLUMNS.len() - filled - own - behind, b',');
    next_word(out, change.what.cause());
    next_number(out, Some(change.retransmits));
    next_number(out, Some(change.open));
    out.resize(out.len() + behind, b',');
    out.push(b'\n');
}

/// Appends a row for a loss: when, and in its column how many.
fn loss_row(out: &mut Vec<u8>, kind: &[u8], time: &str, ktime_ns: u64, lost: u64) {
    out.extend_from_slice(kind);
    out.extend_from_slice(time.as_bytes());
    next_number(out, Some(ktime_ns));
    let filled = 3;
    out.resize(out.len() + LOST - filled, b',');
    next_number(out, Some(lost));
    out.resize(out.len() + AFTER_LOST, b',');
    out.push(b'\n');
}
