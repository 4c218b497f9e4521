//! A connection that ended: the lines of `tcptrace life`.

use super::close::{Figures, life_us, reset_reason, says};
use crate::{
    model::{
        close::{Cause, Closing},
        event::Event,
        owner::Owner,
        payload::Payload,
        state::State,
        transition::Transition,
    },
    output::fields::{
        columns::{Columns, Layout},
        line::Line as Row,
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{EndRole, Flat, Head, Name, Object, StateCounts},
    },
};

/// The end of a connection.
pub(in crate::output) struct Line<'a> {
    time: &'a str,
    end: &'a Transition,
    closing: Option<&'a Closing>,
    payload: Option<Payload>,
}

impl<'a> Line<'a> {
    /// `time` is RFC 3339.
    pub(in crate::output) fn of(time: &'a str, end: &'a Transition) -> Self {
        Self { time, end, closing: end.closing.as_deref(), payload: Payload::of_end(end) }
    }
}

fields! { "connection", impl['a] for Line<'a>, |line|,
    "A connection that ended: what `tcptrace life` prints. A connection, or an attempt at one, whose socket entered CLOSE, at \
     `time`; no listeners.", {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.end.event.ktime_ns)), "";
    "whose": Flat<&'a Event> [csv 0 ""] = Flat(&line.end.event), "";
    "role": Option<EndRole> [csv 0] = line.closing.and_then(|closing| closing.role).map(EndRole),
        "client: this side connected. server: the socket came from a listener. null when the beginning was not seen.";
    "owner": Option<Object<&'a Owner>> [csv 0 "owner_"] = line.end.owner.as_deref().map(Object),
        "The process that owns the socket; null when that is not certain.";
    "life_us": Option<u64> [csv 0] = line.closing.and_then(life_us), says::LIFE;
    "states_us": Spent<'a> [csv 0 ""] = Spent(line.closing.map_or(&[], |closing| &closing.states)),
        "Whole microseconds in each state that it left, in their order; without those whose beginning was not seen.";
    "old_state": State [csv 0] = line.end.event.old_state, "The state that it ended from.";
    "cause": Option<Cause> [csv 0] = line.closing.and_then(|closing| closing.cause), says::CAUSE;
    "error": Option<i32> [csv 0] = line.end.event.error, says::ERROR;
    "reset_reason": Option<Name<'a>> [csv 0] = line.closing.and_then(reset_reason), says::RESET_REASON;
    "figures": Flat<Figures<'a>> [csv 0 ""] = Flat(Figures(line.end)), "";
    "tx_bytes": Option<u64> [csv 3] = line.payload.and_then(|payload| payload.sent.if_exact()),
        "Bytes of data that the program sent and the peer acknowledged: bytes_acked without SYN and FIN. null when one of them \
         may be in it, or nothing is known.";
    "rx_bytes": Option<u64> [csv 3] = line.payload.and_then(|payload| payload.received.if_exact()),
        "Bytes of data that arrived in order, whether the program read them or not: bytes_received without FIN. null when it \
         may be in it, or nothing is known.";
} }

/// The states that a connection can leave, in the order of its life, and their columns.
const LEFT: [(State, &str); 8] = [
    (State::SYN_SENT, "syn_sent_us"),
    (State::SYN_RECV, "syn_recv_us"),
    (State::ESTABLISHED, "established_us"),
    (State::FIN_WAIT1, "fin_wait1_us"),
    (State::FIN_WAIT2, "fin_wait2_us"),
    (State::CLOSING, "closing_us"),
    (State::CLOSE_WAIT, "close_wait_us"),
    (State::LAST_ACK, "last_ack_us"),
];

/// Nanoseconds in each state.
pub(in crate::output) struct Spent<'a>(&'a [(State, u64)]);

impl Value for Spent<'_> {
    const COLUMNS: Option<Columns> = Some(Columns::named(
        &{
            let (mut names, mut index) = ([""; LEFT.len()], 0);
            while index < names.len() {
                names[index] = LEFT[index].1;
                index += 1;
            }
            names
        },
        0,
    ));

    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (state, ns)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            state.json(out);
            out.push(b':');
            (ns / 1_000).json(out);
        }
        out.push(b'}');
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Row<'_>) {
        for (column, _) in LEFT {
            let spent = self.0.iter().find(|(state, _)| *state == column);
            spent.map(|(_, ns)| ns / 1_000).cells::<L, BLOCK>(line);
        }
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        StateCounts::schema(definitions)
    }
}
