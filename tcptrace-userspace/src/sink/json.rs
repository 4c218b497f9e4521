//! One JSON object a line, by the schema in `docs/output.schema.json`.

use std::{io, net::IpAddr};

use serde::{Serialize, Serializer};

use super::Sink;
use crate::{
    clock::{Clock, TimeFormat},
    event::Context,
    record::{Loss, Lost, Owner, Provenance, Record, Summary, Transition},
    state::State,
    text::{Escaped, plain},
};

/// Raised when a consumer could stumble over a change; new fields do not raise it.
pub(super) const SCHEMA: u32 = 1;

pub(super) struct Json {
    time: TimeFormat,
}

impl Json {
    pub(super) fn new(clock: Clock) -> Self {
        Self { time: TimeFormat::rfc3339(clock) }
    }
}

impl Sink for Json {
    fn header(&mut self, _out: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, record: &Record, out: &mut Vec<u8>) -> io::Result<()> {
        match record {
            Record::Transition(transition) => serde_json::to_writer(
                &mut *out,
                &transition_line(self.time.format(transition.event.ktime_ns), transition),
            ),
            Record::Loss(loss) => {
                serde_json::to_writer(&mut *out, &loss_line(self.time.format(loss.ktime_ns), loss))
            }
            Record::Summary(summary) => {
                serde_json::to_writer(&mut *out, &summary_line(self.time.format(summary.ktime_ns), summary))
            }
        }?;
        out.push(b'\n');
        Ok(())
    }
}

/// A state by its name, or its number.
struct StateName(State);

impl Serialize for StateName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}

/// A name from the kernel, escaped.
struct Name<'a>(&'a [u8]);

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match plain(self.0) {
            Some(plain) => serializer.serialize_str(plain),
            None => serializer.collect_str(&Escaped(self.0)),
        }
    }
}

#[derive(Serialize)]
struct TransitionLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    cookie: u64,
    netns: Option<u32>,
    family: u8,
    laddr: IpAddr,
    lport: u16,
    raddr: IpAddr,
    rport: u16,
    old_state: StateName,
    new_state: StateName,
    duration_us: Option<u64>,
    owner: Option<OwnerPart<'a>>,
    context: ContextPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<ClosePart>,
}

#[derive(Serialize)]
struct OwnerPart<'a> {
    pid: u32,
    comm: Name<'a>,
    uid: u32,
    provenance: Provenance,
}

#[derive(Serialize)]
struct ContextPart<'a> {
    pid: u32,
    tid: u32,
    comm: Name<'a>,
    uid: u32,
    cgroup_id: u64,
    in_process: Option<bool>,
}

/// Null where the kernel's layout did not give the value.
#[derive(Serialize)]
struct ClosePart {
    error: Option<i32>,
    bytes_acked: Option<u64>,
    bytes_received: Option<u64>,
    srtt_us: Option<u32>,
    retransmits: Option<u32>,
}

fn transition_line<'a>(time: &'a str, transition: &'a Transition) -> TransitionLine<'a> {
    let event = &transition.event;
    TransitionLine {
        schema: SCHEMA,
        r#type: "transition",
        time,
        ktime_ns: event.ktime_ns,
        cookie: event.cookie,
        netns: event.netns,
        family: event.family(),
        laddr: event.laddr,
        lport: event.lport,
        raddr: event.raddr,
        rport: event.rport,
        old_state: StateName(event.old_state),
        new_state: StateName(event.new_state),
        duration_us: transition.in_old_state_ns.map(|ns| ns / 1_000),
        owner: transition.owner.as_ref().map(owner_part),
        context: context_part(&event.context),
        close: (event.new_state == State::CLOSE).then(|| ClosePart {
            error: event.error,
            bytes_acked: event.metrics.map(|metrics| metrics.bytes_acked),
            bytes_received: event.metrics.map(|metrics| metrics.bytes_received),
            srtt_us: event.metrics.map(|metrics| metrics.srtt_us).filter(|srtt| *srtt != 0),
            retransmits: event.metrics.map(|metrics| metrics.retransmits),
        }),
    }
}

fn owner_part(owner: &Owner) -> OwnerPart<'_> {
    OwnerPart { pid: owner.pid, comm: Name(&owner.comm), uid: owner.uid, provenance: owner.provenance }
}

fn context_part(context: &Context) -> ContextPart<'_> {
    ContextPart {
        pid: context.pid,
        tid: context.tid,
        comm: Name(&context.comm),
        uid: context.uid,
        cgroup_id: context.cgroup_id,
        in_process: context.in_process,
    }
}

#[derive(Serialize)]
struct LossLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    lost: Lost,
    total: u64,
}

fn loss_line<'a>(time: &'a str, loss: &Loss) -> LossLine<'a> {
    LossLine {
        schema: SCHEMA,
        r#type: "loss",
        time,
        ktime_ns: loss.ktime_ns,
        lost: loss.lost,
        total: loss.total.get(),
    }
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    schema: u32,
    r#type: &'static str,
    time: &'a str,
    ktime_ns: u64,
    elapsed_us: u64,
    seen: u64,
    delivered: u64,
    filtered: u64,
    lost: Lost,
    missed_runs_known: bool,
    evicted: u64,
    other_protocol: u64,
    same_state: u64,
    matrix: Vec<MatrixRow>,
}

#[derive(Serialize)]
struct MatrixRow {
    old_state: StateName,
    new_state: StateName,
    count: u64,
}

fn summary_line<'a>(time: &'a str, summary: &Summary) -> SummaryLine<'a> {
    SummaryLine {
        schema: SCHEMA,
        r#type: "summary",
        time,
        ktime_ns: summary.ktime_ns,
        elapsed_us: summary.elapsed_ns / 1_000,
        seen: summary.seen(),
        delivered: summary.delivered,
        filtered: summary.filtered,
        lost: summary.lost,
        missed_runs_known: summary.missed_runs_known,
        evicted: summary.evicted,
        other_protocol: summary.counters.other_protocol,
        same_state: summary.counters.same_state,
        matrix: summary
            .matrix()
            .map(|(old, new, count)| MatrixRow {
                old_state: StateName(old),
                new_state: StateName(new),
                count,
            })
            .collect(),
    }
}
