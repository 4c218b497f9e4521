//! What a tracker needs to know.

use tcptrace_common::Filter;

use crate::bpf::{PortSet, ResetReasons};

/// What a tracker needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sockets to remember at most (at least one).
    pub limit: usize,
    /// Local ports that the user wants, for records that the kernel side could not decide.
    pub lports: Option<PortSet>,
    /// The user's filters, which the kernel side applies to what it reports.
    pub filter: Filter,
    /// The kernel's names of the reasons for resets.
    pub reset_reasons: ResetReasons,
    /// Tell what follows from the events beside the events themselves.
    pub infer: bool,
    /// Events have cookies.
    pub cookies: bool,
    /// Every segment that is sent again comes as a signal.
    pub retransmits: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: usize::MAX,
            lports: None,
            filter: Filter::NONE,
            reset_reasons: ResetReasons::new(),
            infer: false,
            cookies: true,
            retransmits: false,
        }
    }
}
