//! Options of a tracker.

use crate::model::{header::Hidden, hooks::ResetReasons, socket_filter::SocketFilter};

/// Options of a tracker.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Options {
    /// Sockets to remember at most (at least one).
    pub limit: usize,
    /// The user's filters: for records that the kernel side could not decide, and for inferred transitions.
    pub wanted: SocketFilter,
    /// The transitions that are missing, since the kernel side does not report what the filters hide.
    pub hidden: Hidden,
    /// The kernel's names of the reasons for resets.
    pub reset_reasons: ResetReasons,
    /// Emit the transitions that follow from the events, too.
    pub infer: bool,
    /// Events have cookies.
    pub cookies: bool,
    /// Every retransmitted segment comes as a signal.
    pub retransmits: bool,
    /// Resets come as signals: where none came, none was sent.
    pub resets: bool,
    /// Whether the end of a connection reports how long each of its states lasted.
    pub spent: Spent,
}

/// Whether the time in each state is reported. Keeping it takes memory for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The time is reported.
    Told,
    /// The time is not reported.
    Untold,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: usize::MAX,
            wanted: SocketFilter::default(),
            hidden: Hidden::default(),
            reset_reasons: ResetReasons::new(),
            infer: false,
            cookies: true,
            retransmits: false,
            resets: true,
            spent: Spent::Told,
        }
    }
}
