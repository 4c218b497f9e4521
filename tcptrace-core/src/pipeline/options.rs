//! What a trace is to make of its inputs.

use crate::{
    diagnosis::detect,
    model::{socket_filter::SocketFilter, view::View},
};

/// What a trace is to make of its inputs.
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
    /// What becomes a line.
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
