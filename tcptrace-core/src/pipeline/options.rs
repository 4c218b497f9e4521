//! Options of the pipeline.

use crate::{
    diagnosis::detect,
    model::{socket_filter::SocketFilter, view::View},
};

/// Options of the pipeline.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// The filters on sockets and transitions.
    pub wanted: SocketFilter,
    /// Sockets to remember at most.
    pub limit: usize,
    /// Only count transitions.
    pub count_only: bool,
    /// Infer transitions that the kernel does not report.
    pub infer: bool,
    /// Follow half-open connections.
    pub half_open: bool,
    /// Hand half-open connections to the sink.
    pub shows_half_open: bool,
    /// The transitions that become lines.
    pub view: View,
    /// The number of lines to write at most; `None` where there is no limit.
    pub count: Option<u64>,
    /// The options of the detectors; `None` where no detector runs.
    pub detect: Option<detect::Options>,
}

/// Everything, of all sockets, without detectors.
impl Default for Options {
    fn default() -> Self {
        Self {
            wanted: SocketFilter::default(),
            limit: 262_144,
            count_only: false,
            infer: true,
            half_open: true,
            shows_half_open: true,
            view: View::default(),
            count: None,
            detect: None,
        }
    }
}
