//! A change of a half-open connection: a flood has many of these lines.

use std::net::IpAddr;

use crate::{
    model::{
        half_open::{Change, What},
        owner::Owner,
        state::State,
    },
    output::fields::{
        table::fields,
        values::{Family, Flat, Head, Object, WhatCause},
    },
};

/// A change.
pub(in crate::output) struct Line<'a> {
    /// RFC 3339.
    pub(in crate::output) time: &'a str,
    /// The change.
    pub(in crate::output) change: &'a Change,
}

fields! { "half_open", impl['a] for Line<'a>, |line|,
    "Something happened to a half-open connection (--half-open): a SYN was received and the final ACK was not yet. Lines of one \
     connection have one cookie, which its transitions then have, too. time and ktime_ns of what a poll found are those of the \
     end of the poll, up to a second and a quarter after it happened.", {
    "head": Flat<Head<'_, Self>> [csv 0 ""] = Flat(Head::new(line.time, line.change.ktime_ns)), "";
    "what": What = line.change.what,
        "begin: a SYN was queued. retransmit: its SYN-ACK was sent again. end: it is no longer half-open.";
    "cause": Option<WhatCause> [csv 3 "half_open_cause"] = WhatCause::of(line.change.what),
        "Of a beginning, how it was noticed: syn at once, retransmit by the first SYN-ACK sent again, poll by a poll of the \
         kernel's table. Of an end, how: completed by the final ACK; timed_out, no ACK came and the kernel gave up; dropped, \
         reset by the peer or given up by the kernel before its time; unknown, over but not seen how. null of a retransmit.";
    "cookie": u64 [csv 0] = line.change.connection.cookie,
        "The kernel's socket cookie, which the connection keeps when it is completed; 0 where it is not known.";
    "netns": Option<u32> [csv 0] = line.change.connection.flow.netns,
        "Inode number of the network namespace; null when unknown.";
    "family": Family<'_> [csv 0] = Family(&line.change.connection.flow), "IP version that the connection talks.";
    "laddr": IpAddr [csv 0] = line.change.connection.flow.local.address,
        "Local address: that of the SYN, also where the listener is bound to any.";
    "lport": u16 [csv 0] = line.change.connection.flow.local.port, "Local port.";
    "raddr": IpAddr [csv 0] = line.change.connection.flow.remote.address,
        "Remote address, as the SYN has it: not proven until the connection is completed.";
    "rport": u16 [csv 0] = line.change.connection.flow.remote.port, "Remote port.";
    "old_state": State [column 0] = line.change.what.states().0, "";
    "new_state": State [column 0] = line.change.what.states().1, "";
    "duration_us": Option<u64> [csv 0] = line.change.age_ns.map(|ns| ns / 1_000),
        "Whole microseconds since the SYN; null at the beginning, and when the SYN was not seen.";
    "retransmits": u32 [csv 3 "half_open_retransmits"] = line.change.retransmits,
        "How often the SYN-ACK has been sent again, as far as seen.";
    "open": u64 [csv 3 "half_open_open"] = line.change.open,
        "Half-open connections of the same namespace, local address and port after this line.";
    "owner": Option<Object<&'a Owner>> [csv 0 "owner_"] = line.change.owner.as_deref().map(Object),
        "The process that opened the listener; null when that is not certain.";
} }
