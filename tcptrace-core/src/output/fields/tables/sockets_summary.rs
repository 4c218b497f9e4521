//! The end of a table of sockets.

use std::{iter::Map, slice::Iter};

use super::sockets_group::ByName;
use crate::{
    model::{
        dump::{Namespace, Unseen},
        scan::{Gaps, SocketScan},
        text::Escaped,
    },
    output::fields::{
        schema::{Definitions, Schema},
        table::fields,
        value::Value,
        values::{Array, Flat, Head, Object, Quoted},
    },
};

/// The end of a scan.
pub(in crate::output) struct Line<'a> {
    /// When the scan ended, RFC 3339.
    pub(in crate::output) time: &'a str,
    /// When it began, nanoseconds of `CLOCK_MONOTONIC`.
    pub(in crate::output) start_ns: u64,
    /// When it ended.
    pub(in crate::output) end_ns: u64,
    /// The scan.
    pub(in crate::output) scan: &'a SocketScan,
}

type Namespaces<'a> = Array<Map<Iter<'a, Namespace>, fn(&'a Namespace) -> Object<&'a Namespace>>>;

fields! { "sockets_summary", impl['a] for Line<'a>, |line|,
    "The last line of each scan; time and ktime_ns are those of its end.", {
    "head": Flat<Head<'_, Self>> = Flat(Head::new(line.time, line.end_ns)), "";
    "elapsed_us": u64 = line.end_ns.saturating_sub(line.start_ns) / 1_000,
        "How long the scan took, in microseconds.";
    "sockets": usize = line.scan.sockets.len(), "Sockets shown, or counted.";
    "hidden": usize = line.scan.hidden,
        "Sockets read and hidden by filters. Those in states that the filters exclude are for the most part not read.";
    "states": ByName = ByName::of(&line.scan.states()),
        "How many sockets are in each state; those that none is in are left out.";
    "namespaces": Namespaces<'a> = Array(line.scan.namespaces.iter().map(Object)),
        "The network namespaces that were read, and when.";
    "gaps": Object<&'a Gaps> = Object(&line.scan.gaps), "";
} }

fields! { "namespace", impl[] for Namespace, |namespace|, "", {
    "begin_ktime_ns": u64 = namespace.begin_ns, "Before the first question, nanoseconds of CLOCK_MONOTONIC.";
    "end_ktime_ns": u64 = namespace.end_ns, "After the last answer, nanoseconds of CLOCK_MONOTONIC.";
    "netns": Option<u32> = namespace.inode, "Inode number; null when /proc does not show it.";
} }

type Unread<'a> = Array<Map<Iter<'a, Unseen>, fn(&'a Unseen) -> Object<&'a Unseen>>>;

fields! { "gaps", impl[] for Gaps, |gaps|, "What could not be seen. Empty and zeros: everything was.", {
    "interrupted_dumps": usize = gaps.snapshot.interrupted_dumps,
        "Walks through the kernel's tables that it called interrupted, as often as they were repeated.";
    "namespaces": Unread<'_> = Array(gaps.snapshot.namespaces.iter().map(Object)),
        "Network namespaces that could not be read.";
    "processes_with_unknown_netns": usize = gaps.snapshot.unreadable_processes,
        "Processes whose network namespace cannot be seen; it may be one that is read anyway.";
    "processes_with_unknown_sockets": usize = gaps.unreadable_processes,
        "Unreadable processes, where there are such sockets.";
    "sockets_without_owner": usize = gaps.without_owner,
        "Sockets that a process must have open, which was not found, where some processes are unreadable.";
    "undecodable": usize = gaps.snapshot.undecodable, "Answers that this version does not understand.";
} }

fields! { "unread_namespace", impl[] for Unseen, |unseen|, "", {
    "netns": Option<u32> = unseen.netns, "Inode number; null when /proc does not show it.";
    "reason": Reason<'_> = Reason(unseen), "Why it could not be read.";
} }

/// Why a namespace could not be read.
pub(in crate::output) struct Reason<'a>(&'a Unseen);

impl Value for Reason<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(&Escaped(self.0.obstacle.to_string().as_bytes()).to_string()).json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("string")
    }
}
