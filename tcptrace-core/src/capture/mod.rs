//! Captures: everything that a trace depends on, in a file, so that the trace can be replayed anywhere.
//!
//! A file is a [`MAGIC`], a version, and frames. The first frame holds the header, the others hold inputs of a trace
//! (`model/input.rs`). Each frame is compressed and has a checksum: damage is noticed, and a recorder that is killed loses
//! no more than its current frame. `docs/captures.md` describes the format byte by byte.

mod anonymize;
mod frame;
mod read;
mod replay;
mod wire;

use std::{io, path::PathBuf};

use crate::model::{header::Header, input::Input};
use thiserror::Error;

pub use anonymize::Anonymizer;
pub use frame::encode;
pub use read::Reader;
pub use replay::{MOST_WAITING, Replay, Replayed, replay};

/// The first bytes of a capture.
pub const MAGIC: [u8; 8] = *b"tcptrace";

/// The version of the format of all that follows. Added messages, fields and choices do not make a new version, since
/// readers skip what they do not know; any other change does. Earlier versions can be read.
pub const VERSION: u16 = 5;

/// Why something cannot be recorded or replayed.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be opened, read, written or renamed.
    #[error("capture {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The file begins with something else.
    #[error("{0} is not a capture of tcptrace; `tcptrace record -w FILE` makes one")]
    NoCapture(PathBuf),
    /// A later version made the file.
    #[error(
        "{path} has version {version} of the form of captures; this tcptrace reads version {VERSION}, a newer one may read it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// The file is damaged before anything can be read.
    #[error("{path} has no readable beginning: {damage}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        damage: Damage,
    },
}

/// Why a capture cannot be read on from some place.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// The file ends in the middle of a frame.
    #[error("it ends in the middle of a frame (byte {0})")]
    Truncated(u64),
    /// The bytes are not those that were written.
    #[error("the frame at byte {0} is damaged")]
    Checksum(u64),
    /// The bytes are those that were written, but make no sense.
    #[error("the frame at byte {at} is not understood: {why}")]
    Content {
        /// Where the frame begins.
        at: u64,
        /// The reason.
        why: String,
    },
    /// The file could not be read.
    #[error("reading at byte {at}: {why}")]
    Io {
        /// The place, in bytes.
        at: u64,
        /// The reason.
        why: String,
    },
    /// Everything that is there is right, but the end was not written: the recorder was killed, or is still writing.
    #[error("its end is missing: whoever wrote it was killed, or is still writing")]
    NoEnd,
}

/// The beginning of a file.
///
/// # Errors
/// The header is larger than a frame can be.
pub fn beginning(header: &Header) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    wire::write_header(header, &mut raw);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(encode(&raw)?);
    Ok(bytes)
}

/// Appends an input as a message, after its length, to the raw bytes of a frame.
pub fn put(input: &Input<'_>, raw: &mut Vec<u8>) {
    let start = raw.len();
    raw.extend([0; 4]);
    wire::write_input(input, raw);
    // No frame is this long.
    let len = u32::try_from(raw.len() - start - 4).unwrap_or(u32::MAX);
    raw[start..start + 4].copy_from_slice(&len.to_le_bytes());
}
