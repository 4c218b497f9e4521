//! Options of a tracker.

use crate::model::{header::Hidden, hooks::ResetReasons, socket_filter::SocketFilter};

/// Options of a tracker.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Options {
    /// Sockets to remember at most (at least one).
    pub limit: usize,
    /// What the user wants: of records that the kernel side could not decide, and of what is inferred.
    pub wanted: SocketFilter,
    /// Which transitions are missing, since the kernel side does not report what nobody wants.
    pub hidden: Hidden,
    /// The kernel's names of the reasons for resets.
    pub reset_reasons: ResetReasons,
    /// Tell what follows from the events beside the events themselves.
    pub infer: bool,
    /// Events have cookies.
    pub cookies: bool,
    /// Every segment that is sent again comes as a signal.
    pub retransmits: bool,
    /// Resets come as signals: where none came, none was sent.
    pub resets: bool,
    /// Whether the end of a connection tells how long each of its states lasted.
    pub spent: Spent,
}

/// Whether it is reported. Keeping it takes memory for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It does.
    Told,
    /// Nobody asks.
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
