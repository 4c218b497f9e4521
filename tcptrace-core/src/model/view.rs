//! Which records become lines.

use super::transition::Transition;

/// Which records become lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Each transition.
    #[default]
    Transitions,
    /// Each connection, when it has ended.
    Connections,
}

impl View {
    /// Whether this transition becomes a line.
    pub fn shows(self, transition: &Transition) -> bool {
        match self {
            Self::Transitions => true,
            Self::Connections => transition.ends_connection(),
        }
    }
}
