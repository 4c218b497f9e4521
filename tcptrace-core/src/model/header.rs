//! The header of a trace: everything that a replay needs before the first input.

use crate::model::{
    clock::Clock,
    hooks::{HalfOpenHooks, Hook, ResetReasons},
    input::Counted,
    loss::Lost,
    socket_filter::SocketFilter,
    text::distrusted,
};

/// The header of a trace, the first frame of a capture.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Header {
    /// The tool that wrote it, such as `tcptrace 0.1.0`.
    pub tool: String,
    /// The host's name, escaped.
    pub host: String,
    /// Its kernel's release, escaped.
    pub kernel: String,
    /// Integers in raw records have the least significant byte first.
    pub little_endian: bool,
    /// The relation from the host's monotonic clock to the time of day.
    pub clock: Clock,
    /// When the trace, or this file of it, began, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// The hook.
    pub hook: Hook,
    /// Hooks of half-open connections; `None` where the trace did not follow them, or by polls only.
    pub half_open: Option<HalfOpenHooks>,
    /// Half-open connections were followed.
    pub polled: bool,
    /// Events have cookies.
    pub cookies: bool,
    /// Each segment that is sent again is reported as a signal.
    pub retransmits: bool,
    /// The kernel's names of the reasons for resets.
    pub reset_reasons: ResetReasons,
    /// Transitions that the kernel side has not reported.
    pub hidden: Hidden,
    /// The only network namespace that passes the filters, by its inode; 0 is all. Raw records of half-open connections may
    /// be of others: where the kernel side has only the cookie of a namespace, it cannot filter by the inode.
    pub netns: u32,
    /// The only process that passes the filters; 0 is all. Raw records of half-open connections may be of others here too.
    pub tgid: u32,
    /// Counts of the earlier files of the trace.
    pub before: Before,
    /// The network namespace that tcptrace was in, by its inode; `None` where it is not known.
    pub own_netns: Option<u32>,
    /// tcptrace was in a pid namespace of its own.
    pub own_pids: bool,
    /// Resets are reported as signals.
    pub resets: bool,
    /// The options of the trace that left out sockets or transitions, as far as they are known.
    pub filters: Vec<String>,
}

impl Header {
    /// Escapes the texts that are to be printed: the writer of a capture may have put anything into them.
    #[must_use]
    pub fn distrusted(mut self) -> Self {
        for text in [&mut self.tool, &mut self.host, &mut self.kernel].into_iter().chain(&mut self.filters) {
            *text = distrusted(std::mem::take(text));
        }
        if let Some(HalfOpenHooks { syns, retransmits }) = &mut self.half_open {
            *syns = syns.clone().map_err(distrusted);
            *retransmits = retransmits.clone().map_err(distrusted);
        }
        for reason in self.reset_reasons.values_mut() {
            *reason = distrusted(std::mem::take(reason));
        }
        self
    }
}

/// The transitions that the kernel side's filters keep from the tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Sockets, or some of their transitions, are hidden.
    pub any: bool,
    /// Transitions are hidden by their states: a socket may be in another state than the one that was seen last.
    pub by_state: bool,
}

impl Hidden {
    /// The transitions that these filters hide.
    pub fn by(wanted: &SocketFilter) -> Self {
        let SocketFilter { filter, lports, rports } = wanted;
        let by_port = lports.is_some() || rports.is_some();
        Self { any: by_port || *filter != tcptrace_common::Filter::NONE, by_state: filter.by_state() }
    }
}

/// Counts before a file began. The inputs of the file continue these counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The kernel side's counters.
    pub counted: Counted,
    /// Losses of transitions and signals.
    pub lost: Lost,
    /// Losses of half-open connections: records for which the ring had no capacity, and those not seen.
    pub half_open: (u64, u64),
}
