//! Counters and polls of a trace.

use tcptrace_common::{Counters, HalfOpenCounters};

use super::{Bytes, Malformed, Wire, put, record, several};
use crate::model::{
    clock_watch::ClockChange,
    flow::Flow,
    half_open::{Connection, Pending, Poll},
    input::{Answer, Checked, Counted, Ended, Exit},
    loss::Lost,
    netstat::{NamespaceCounters, Netstat},
};

record!(Exit { 0 process, 1 by_ns });

record!(Answer<K, V> { 0 from_ns, 1 key, 2 value });

record!(ClockChange { 0 ktime_ns, 1 clock, 2 by_ns, 3 suspended_ns, 4 is_step });

record!(Checked { 0 now_ns, 1 lost, 2 half_open, 3 retries, 4 level });

// The number of inputs that a replay skips is in no message.
record!(Lost { 0 ring_full, 1 output, 2 undecodable, 3 missed_runs, 4 others; skipped_inputs: 0 });

record!(Counted { 0 counters, 1 half_open });

record!(Counters {
    0 seen,
    1 delivered,
    2 filtered,
    3 lost_ring_full,
    4 other_protocol,
    5 same_state,
    6 signals_delivered,
    7 signals_lost,
    8 sampled_out,
    9 signals_sampled_out,
});

record!(HalfOpenCounters { 0 syns, 1 retransmits, 2 filtered, 3 lost_ring_full, 4 sampled_out });

record!(Ended {
    0 end_ns,
    1 counted,
    2 submitted,
    3 missed_runs,
    4 missed_signals,
    5 half_open_missed,
    6 namespaces,
    7 unpolled,
    8 snapshot_gaps,
});

record!(NamespaceCounters { 0 netns, 1 grown });

/// The counters by their places; more may follow.
const NETSTAT: [&str; 7] = [
    "ListenOverflows",
    "ListenDrops",
    "TCPReqQFullDoCookies",
    "TCPReqQFullDrop",
    "SyncookiesSent",
    "SyncookiesRecv",
    "SyncookiesFailed",
];

/// A structure whose only field has the counters by their places.
impl Wire for Netstat {
    fn absent() -> Self {
        Self::default()
    }

    fn write(&self, out: &mut Vec<u8>) {
        put::array(out, 1);
        let value = |name: &&str| self.values().find(|(known, _)| known == name).and_then(|(_, value)| value);
        let values: Vec<Option<u64>> = NETSTAT.iter().map(value).collect();
        values.write(out);
    }

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let mut values = [None; NETSTAT.len()];
        input.fields(|number, input| {
            match number {
                0 => values = several::array(input)?,
                _ => input.skip()?,
            }
            Ok(())
        })?;
        Ok(Self::with(|name| {
            NETSTAT.iter().zip(values).find(|(known, _)| **known == name).and_then(|(_, value)| value)
        }))
    }

    #[cfg(test)]
    fn some(chance: &mut super::tests::Chance) -> Self {
        let values: [Option<u64>; NETSTAT.len()] = Wire::some(chance);
        Self::with(|name| NETSTAT.iter().position(|known| *known == name).and_then(|at| values[at]))
    }
}

record!(Poll { 0 namespaces, 1 end_ns, 2 pending });

record!(Pending { 0 connection, 1 retransmits, 2 fires_ns });

record!(Connection {
    0 cookie,
    1 flow.netns,
    2 flow.local.address,
    3 flow.local.port,
    4 flow.remote.address,
    5 flow.remote.port,
    ..Self { cookie: 0, flow: Flow::absent() }
});
