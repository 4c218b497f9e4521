//! Everything that can be set of a session.

use std::time::Duration;

use tcptrace_core::{diagnosis::detect, model::view::View, pipeline};

use super::{DEFAULT_MAX_RATE, Extent};
use crate::{bpf, recording, scan::snapshot::Netns};

/// Everything that a trace needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The kernel side.
    pub bpf: bpf::Options,
    /// The options that leave out sockets or transitions, such as `--local-port 80`; a capture keeps them.
    pub filters: Vec<String>,
    /// Report transitions that follow from the kernel's events, beside the events themselves.
    pub infer: bool,
    /// Dump the pre-existing sockets.
    pub snapshot: bool,
    /// The namespace of the filter, with the way into it.
    pub netns: Option<Netns>,
    /// Follow half-open connections, in this way.
    pub half_open: Option<HalfOpenBy>,
    /// Scan all sockets at this interval.
    pub scans: Option<Duration>,
    /// Run detectors, with these options. They need the scans.
    pub detect: Option<detect::Options>,
    /// Print half-open connections, where they are followed.
    pub shows_half_open: bool,
    /// Record the trace.
    pub record: Option<recording::Target>,
    /// Which records become lines of an output.
    pub view: View,
    /// Which processes are resolved.
    pub identify: Extent,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Stop after this many lines.
    pub count: Option<u64>,
    /// Records a second above which the rest is only counted.
    pub max_rate: u64,
}

/// Every transition of the host, until the session is stopped.
impl Default for Settings {
    fn default() -> Self {
        Self {
            bpf: bpf::Options::default(),
            filters: Vec::new(),
            infer: true,
            snapshot: true,
            netns: None,
            half_open: None,
            scans: None,
            detect: None,
            shows_half_open: true,
            record: None,
            view: View::Transitions,
            identify: Extent::All,
            duration: None,
            count: None,
            max_rate: DEFAULT_MAX_RATE,
        }
    }
}

/// Interval of scans for detectors, where none is set.
const SCAN_EVERY: Duration = Duration::from_secs(5);

impl Settings {
    /// Runs detectors for as long as the trace goes on. They need scans and half-open connections, which this turns on
    /// where nothing else is set. They forget what is old.
    pub(crate) fn detect_on(&mut self, options: detect::Options) {
        self.detect = Some(detect::Options { forgets: true, ..options });
        self.scans.get_or_insert(SCAN_EVERY);
        self.half_open.get_or_insert(HalfOpenBy::Events);
    }

    /// The options of the pipeline.
    pub(super) fn pipeline(&self) -> pipeline::Options {
        pipeline::Options {
            wanted: self.bpf.wanted(),
            limit: usize::try_from(self.bpf.max_connections).unwrap_or(usize::MAX),
            count_only: self.bpf.count_only,
            infer: self.infer,
            half_open: self.half_open.is_some(),
            shows_half_open: self.shows_half_open,
            view: self.view,
            count: self.count,
            detect: self.detect.clone(),
        }
    }
}

/// How to follow half-open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HalfOpenBy {
    /// Each SYN and each SYN-ACK that is sent again, as far as the kernel lets; and polls for what these do not tell.
    Events,
    /// A poll a second, which costs nothing per SYN and misses what is shorter.
    Poll,
}
