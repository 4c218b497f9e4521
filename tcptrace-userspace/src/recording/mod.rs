//! Recording: inputs of a trace become files, on a thread of their own.

mod recorder;
mod rotate;

use std::path::PathBuf;

pub(crate) use recorder::{Capacity, Recorder};

/// The file to record to, and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The file. A file that exists is replaced.
    pub path: PathBuf,
    /// Begin another file once the current one has about this many bytes; `None`: never.
    pub max_bytes: Option<u64>,
    /// How many full files to keep beside the current one.
    pub keep: u32,
    /// Replace addresses and names by others.
    pub anonymize: bool,
}
