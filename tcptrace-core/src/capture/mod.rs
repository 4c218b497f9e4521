//! Captures: all that a trace depends on, in a file, so that it can be replayed anywhere.
//!
//! A file is a [`MAGIC`], a version, and frames; the first one holds the header, the others inputs of a trace
//! (`model/input.rs`). Each frame is compressed and has a checksum, so that a recorder that is killed loses no more than
//! the frame that it was at, and damage is noticed. `docs/captures.md` tells the form byte by byte.

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

/// The form of what follows. Messages, fields and choices that are added do not make a new one, since readers skip what they
/// do not know; any other change does. Those before can be read.
pub const VERSION: u16 = 5;

/// Why something cannot be recorded or replayed.
#[derive(Debug, Error)]
pub enum Error {
    /// The file cannot be opened, read, written or renamed.
    #[error("capture {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It begins with something else.
    #[error("{0} is not a capture of tcptrace; `tcptrace record -w FILE` makes one")]
    NoCapture(PathBuf),
    /// It was made by a later version.
    #[error(
        "{path} has version {version} of the form of captures; this tcptrace reads version {VERSION}, a newer one may read it"
    )]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// It is damaged before anything can be read.
    #[error("{path} has no readable beginning: {damage}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        damage: Damage,
    },
}

/// Why a capture cannot be read on from some place.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Damage {
    /// It ends in the middle of something.
    #[error("it ends in the middle of a frame (byte {0})")]
    Truncated(u64),
    /// The bytes are not those that were written.
    #[error("the frame at byte {0} is damaged")]
    Checksum(u64),
    /// They are, but make no sense.
    #[error("the frame at byte {at} is not understood: {why}")]
    Content {
        /// Where the frame begins.
        at: u64,
        /// Why.
        why: String,
    },
    /// It could not be read at all.
    #[error("reading at byte {at}: {why}")]
    Io {
        /// Where.
        at: u64,
        /// Why.
        why: String,
    },
    /// Nothing is wrong with what is there, but the end was not written: the recorder was killed.
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

/// Appends an input as a message, behind its length, to the raw bytes of a frame.
pub fn put(input: &Input<'_>, raw: &mut Vec<u8>) {
    let start = raw.len();
    raw.extend([0; 4]);
    wire::write_input(input, raw);
    // No frame has so much.
    let len = u32::try_from(raw.len() - start - 4).unwrap_or(u32::MAX);
    raw[start..start + 4].copy_from_slice(&len.to_le_bytes());
}
