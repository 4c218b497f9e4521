//! A process, as findings name it.

use std::{fmt, sync::Arc};

use crate::model::{owner::Owner, process::Process, text::Escaped};

/// A process that is responsible for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Process id.
    pub pid: u32,
    /// Its name, NUL-terminated or not, any bytes; empty when the process ended before it was read.
    pub comm: Vec<u8>,
    /// The process, where it was resolved while it lived.
    pub process: Option<Arc<Process>>,
}

impl Who {
    /// A process that has a descriptor open on the host. It may have ended since.
    pub fn of_holder(pid: u32, process: Option<&Arc<Process>>) -> Self {
        let comm = process.map(|process| process.comm.clone()).unwrap_or_default();
        Self { pid, comm, process: process.cloned() }
    }

    /// A process that owns the socket of a record.
    pub fn of_owner(owner: &Owner) -> Self {
        Self {
            pid: owner.pid,
            comm: owner.name().unwrap_or_default().to_vec(),
            process: owner.process.clone(),
        }
    }

    /// When it started, in clock ticks since boot, where that is known.
    pub fn started(&self) -> Option<u64> {
        self.process.as_ref().map(|process| process.start_ticks)
    }
}

/// `nginx[812]`, followed by the container or else the unit.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.comm.is_empty() {
            write!(f, "process {}", self.pid)?;
        } else {
            write!(f, "{}[{}]", Escaped(&self.comm), self.pid)?;
        }
        let Some(process) = &self.process else { return Ok(()) };
        if let Some(container) = &process.container {
            return write!(f, " ({} {})", container.runtime, Escaped(container.id.as_bytes()));
        }
        match &process.unit {
            Some(unit) => write!(f, " ({})", Escaped(unit.as_bytes())),
            None => Ok(()),
        }
    }
}
