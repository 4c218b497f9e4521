//! Comma-separated values: the fields of the JSON output, flattened, absent values empty.

use std::{
    fmt::{Display, Write as _},
    io,
};

use csv::ByteRecord;

use super::Sink;
use crate::{
    clock::{Clock, TimeFormat},
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
    time: TimeFormat,
    row: Row,
}

impl Csv {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock), row: Row::default() }
    }
}

impl Sink for Csv {
    fn header(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        for column in COLUMNS {
            self.row.put(column);
        }
        self.row.write(out)
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => {
                self.row.transition(self.time.format(transition.event.ktime_ns), transition);
            }
            Record::Loss(loss) => self.row.loss(self.time.format(loss.ktime_ns), loss),
            // The account does not fit into these columns; it goes to standard error.
            Record::Summary(_) => return Ok(()),
        }
        self.row.write(out)
    }
}

/// A row in the making, and the room to print a field in.
#[derive(Default)]
struct Row {
    fields: ByteRecord,
    scratch: String,
}

impl Row {
    fn put(&mut self, value: impl Display) {
        self.scratch.clear();
        let _ = write!(self.scratch, "{value}");
        self.fields.push_field(self.scratch.as_bytes());
    }

    fn put_known(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.put(value),
            None => self.fields.push_field(b""),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(out);
        writer.write_byte_record(&self.fields)?;
        self.fields.clear();
        writer.flush()
    }

    fn transition(&mut self, time: &str, transition: &Transition) {
        let event = &transition.event;
        self.put("transition");
        self.put(time);
        self.put(event.ktime_ns);
        self.put(event.cookie);
        self.put_known(event.netns);
        self.put(event.family());
        self.put(event.laddr);
        self.put(event.lport);
        self.put(event.raddr);
        self.put(event.rport);
        self.put(event.old_state);
        self.put(event.new_state);
        self.put_known(transition.in_old_state_ns.map(|ns| ns / 1_000));
        let owner = transition.owner.as_ref();
        self.put_known(owner.map(|owner| owner.pid));
        self.put_known(owner.map(|owner| Escaped(&owner.comm)));
        self.put_known(owner.map(|owner| owner.uid));
        self.put_known(owner.map(|owner| match owner.provenance {
            Provenance::Exact => "exact",
            Provenance::Inherited => "inherited",
        }));
        let context = &event.context;
        self.put(context.pid);
        self.put(context.tid);
        self.put(Escaped(&context.comm));
        self.put(context.uid);
        self.put(context.cgroup_id);
        self.put_known(context.in_process);
        self.put_known(event.error.filter(|_| event.new_state == State::CLOSE));
        let metrics = event.metrics;
        self.put_known(metrics.map(|metrics| metrics.bytes_acked));
        self.put_known(metrics.map(|metrics| metrics.bytes_received));
        self.put_known(metrics.map(|metrics| metrics.srtt_us).filter(|srtt_us| *srtt_us != 0));
        self.put_known(metrics.map(|metrics| metrics.retransmits));
        self.put("");
    }

    fn loss(&mut self, time: &str, loss: &Loss) {
        self.put("loss");
        self.put(time);
        self.put(loss.ktime_ns);
        while self.fields.len() < COLUMNS.len() - 1 {
            self.fields.push_field(b"");
        }
        self.put(loss.lost.total());
    }
}
