//! Recording: inputs of a trace become files, on a thread of their own.

mod recorder;
mod rotate;

use std::path::PathBuf;

pub(crate) use recorder::{Capacity, Recorder};

/// Where to record to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The file; it is made anew.
    pub path: PathBuf,
    /// Begin another file when this one has about so many bytes; `None` is never.
    pub max_bytes: Option<u64>,
    /// How many full files to keep beside the current one.
    pub keep: u32,
    /// Put others in the place of addresses and names.
    pub anonymize: bool,
}
