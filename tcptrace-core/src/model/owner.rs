//! The process that a socket belongs to, and how that is known.

use std::sync::Arc;

use crate::model::process::Process;

/// A process that owns a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Real user id.
    pub uid: u32,
    /// Name of the process, NUL-padded, any bytes; [`Self::NAMELESS`] where only another of its threads was seen.
    pub comm: [u8; 16],
    /// How it is known.
    pub provenance: Provenance,
    /// Other processes that hold the socket open: those of a pre-fork server, or processes that were passed a descriptor.
    pub others: Option<Arc<[u32]>>,
    /// The process, if it was resolved while it lived.
    pub process: Option<Arc<Process>>,
}

impl Owner {
    /// [`Self::comm`] where the name is not known.
    pub const NAMELESS: [u8; 16] = [0; 16];

    /// Its name; `None` where it is not known.
    pub fn name(&self) -> Option<&[u8]> {
        (self.comm[0] != 0).then_some(&self.comm[..])
    }

    /// Whether this process is one of `holders`. A dump names only the first of them with its process.
    pub fn is_among(&self, holders: &Self) -> bool {
        let same_start = match (&self.process, &holders.process) {
            (Some(this), Some(first)) => this.start_ticks == first.start_ticks,
            _ => true,
        };
        (self.pid == holders.pid && same_start)
            || holders.others.iter().any(|others| others.contains(&self.pid))
    }

    /// This owner with all other `holders` as its others; `None` when it is not one of them.
    pub fn among(&self, holders: &Self) -> Option<Self> {
        let all = std::iter::once(holders.pid)
            .chain(holders.others.iter().flat_map(|others| others.iter().copied()));
        let others: Arc<[u32]> = all.filter(|pid| *pid != self.pid).collect();
        let others = (!others.is_empty()).then_some(others);
        self.is_among(holders).then(|| Self { others, ..self.clone() })
    }
}

/// A name in the form in which the kernel keeps it.
pub fn padded(name: &[u8]) -> [u8; 16] {
    let mut comm = Owner::NAMELESS;
    let known = name.len().min(comm.len() - 1);
    comm[..known].copy_from_slice(&name[..known]);
    comm
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The process acted on this socket itself.
    Exact,
    /// The process opened the listener that this socket came from. The process that accepted it is not known yet.
    Inherited,
    /// The process had the socket open when the host was last scanned.
    Snapshot,
}

impl Provenance {
    /// Its name in JSON and CSV.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inherited => "inherited",
            Self::Snapshot => "snapshot",
        }
    }
}
