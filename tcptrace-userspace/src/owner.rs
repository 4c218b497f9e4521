//! The process that a socket belongs to, and how that is known.

use std::sync::Arc;

use crate::process::Process;

/// A process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Real user id.
    pub uid: u32,
    /// Name of the thread that acted, NUL-padded, any bytes.
    pub comm: [u8; 16],
    /// How it is known.
    pub provenance: Provenance,
    /// Other processes that hold the socket open: those of a pre-fork server, or who was passed a descriptor.
    pub others: Option<Arc<[u32]>>,
    /// What the process is, if someone looked while it lived.
    pub process: Option<Arc<Process>>,
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Provenance {
    /// The process acted on this socket itself.
    Exact,
    /// The process opened the listener that this socket came from; who accepted it is not known yet.
    Inherited,
    /// The process had the socket open when the host was last looked at.
    Snapshot,
}

impl Provenance {
    /// As JSON and CSV have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inherited => "inherited",
            Self::Snapshot => "snapshot",
        }
    }
}
