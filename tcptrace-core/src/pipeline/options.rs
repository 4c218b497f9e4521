//! Options of the pipeline.

use crate::{
    diagnosis::detect,
    model::{socket_filter::SocketFilter, view::View},
};

/// Options of the pipeline.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// Which sockets and transitions.
    pub wanted: SocketFilter,
    /// Sockets to remember at most.
    pub limit: usize,
    /// Transitions are only counted.
    pub count_only: bool,
    /// Infer transitions that the kernel does not report.
    pub infer: bool,
    /// Follow half-open connections.
    pub half_open: bool,
    /// And hand them to the sink.
    pub shows_half_open: bool,
    /// Which records become lines.
    pub view: View,
    /// So many lines.
    pub count: Option<u64>,
    /// Look for faults, and for which.
    pub detect: Option<detect::Options>,
}

/// Everything, of all sockets.
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
