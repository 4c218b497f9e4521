//! Connections as comma-separated values, a column a figure and a state.

use std::io::{self, Write as _};

use crate::{
    model::{
        clock::{Clock, TimeFormat},
        close::{Cause, Role},
        payload::Payload,
        record::Record,
        state::State,
        transition::Transition,
    },
    output::{
        csv_put::{
            next, next_addresses, next_device, next_figures, next_name, next_number, next_owner,
            next_process, next_word,
        },
        put,
    },
    pipeline::Sink,
};

const COLUMNS: [&str; 41] = [
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
    "role",
    "owner_pid",
    "owner_comm",
    "owner_uid",
    "owner_provenance",
    "owner_exe",
    "owner_unit",
    "owner_container",
    "owner_others",
    "life_us",
    "syn_sent_us",
    "syn_recv_us",
    "established_us",
    "fin_wait1_us",
    "fin_wait2_us",
    "closing_us",
    "close_wait_us",
    "last_ack_us",
    "old_state",
    "cause",
    "error",
    "reset_reason",
    "bytes_acked",
    "bytes_received",
    "srtt_us",
    "retransmits",
    "lost",
    "tx_bytes",
    "rx_bytes",
    "ifindex",
    "device",
];

pub(in crate::output) struct Csv {
    time: TimeFormat,
}

impl Csv {
    pub(in crate::output) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock) }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        writeln!(out, "{}", COLUMNS.join(","))
    }

    fn transition(&mut self, transition: &Transition, out: &mut Vec<u8>) -> io::Result<()> {
        if transition.ends_connection() {
            connection_row(out, self.time.format(transition.event.ktime_ns), transition);
        }
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => self.transition(transition, out)?,
            Record::Loss(loss) => {
                let time = self.time.format(loss.ktime_ns);
                loss_row(out, "loss", time, loss.ktime_ns, loss.lost.total());
            }
            Record::Clock(change) => self.time.set_clock(change.clock),
            Record::Degraded(it) => {
                let time = self.time.format(it.ktime_ns);
                loss_row(out, "degraded", time, it.ktime_ns, it.sampled_out.total());
            }
            // The account does not fit into these columns; it goes to standard error. Half-open connections are none yet.
            Record::Summary(_)
            | Record::HalfOpen(_)
            | Record::HalfOpenLoss(_)
            | Record::Finding(_)
            | Record::Stats(_) => {}
        }
        Ok(())
    }
}

/// Appends a row; the fields follow `COLUMNS`.
fn connection_row(out: &mut Vec<u8>, time: &str, end: &Transition) {
    let event = &end.event;
    let closing = end.closing.as_deref();
    out.extend_from_slice(b"connection");
    next_word(out, Some(time));
    next_number(out, Some(event.ktime_ns));
    next_number(out, Some(event.cookie));
    next_number(out, event.netns);
    next_addresses(out, (event.laddr, event.lport), (event.raddr, event.rport));
    next_word(out, closing.and_then(|closing| closing.role).map(Role::name));
    let owner = end.owner.as_deref();
    next_owner(out, owner);
    next_process(out, owner.and_then(|owner| owner.process.as_deref()));
    next_number(out, owner.map(|owner| owner.others.as_ref().map_or(0, |others| others.len())));
    next_number(out, closing.and_then(|closing| closing.life_ns).map(|ns| ns / 1_000));
    let states = closing.map_or(&[][..], |closing| &closing.states);
    // All that a connection can leave, in the order of their columns.
    for column in &State::LIFE[2..] {
        let spent = states.iter().find(|(state, _)| state == column);
        next_number(out, spent.map(|(_, ns)| ns / 1_000));
    }
    next(out, |out| put::state(out, event.old_state));
    next_word(out, closing.and_then(|closing| closing.cause).map(Cause::name));
    next_number(out, event.error);
    next_name(out, closing.and_then(|closing| closing.reset_reason.as_deref()).map(str::as_bytes));
    next_figures(out, end);
    // Nothing is lost here.
    out.push(b',');
    let payload = Payload::of_end(end);
    next_number(out, payload.and_then(|payload| payload.sent.if_exact()));
    next_number(out, payload.and_then(|payload| payload.received.if_exact()));
    next_device(out, event.device.as_ref());
    out.push(b'\n');
}

/// Appends a row for what is not there: when, and in the column `lost` how many transitions.
fn loss_row(out: &mut Vec<u8>, kind: &str, time: &str, ktime_ns: u64, count: u64) {
    out.extend_from_slice(kind.as_bytes());
    next_word(out, Some(time));
    next_number(out, Some(ktime_ns));
    // Those between, and those behind, stay empty.
    let (filled, behind) = (3, 4);
    out.resize(out.len() + COLUMNS.len() - 1 - filled - behind, b',');
    next_number(out, Some(count));
    out.resize(out.len() + behind, b',');
    out.push(b'\n');
}
