//! The contents of the frames of a capture, in MessagePack: the numbers that the format has for messages, their fields and
//! their choices, and the conversion from and to the model.
//!
//! Every structure has a table, such as `record!(Timer { 0 kind, 1 expires_ms, 2 retransmits })`, and is an array: a number
//! is the place of a field. A number means the same field in all versions and is never used again; names, types and the
//! order of fields in the model may change. A field whose value is absent (0, no, empty, nothing, unless its row says
//! otherwise) is nil, or is missing if no others follow. A reader skips elements that it does not know.
//!
//! One set of tables reads all versions. Versions 1 to 4 have the same arrays with other values in them. Choices have names
//! instead of numbers; the tables have these names as bytes. Addresses and names of processes are elements instead of bytes.
//!
//! A structure is read directly into its type of the model, and written directly from it, since a scan can have a million
//! sockets.

mod bytes;
mod header;
mod host;
mod input;
mod put;
mod several;
mod sockets;
mod tables;
#[cfg(test)]
mod tests;
mod trace;
mod values;

use bytes::Bytes;
use tables::{choice, record};

use crate::model::{header::Header, input::Input};

/// A value that messages can have.
trait Wire: Sized {
    /// The value of a field that is not there.
    fn absent() -> Self;

    /// Whether this value is the absent one, so that the field need not be written.
    fn is_absent(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>);

    fn read(input: &mut Bytes<'_>) -> Result<Self, Malformed>;

    /// Some value, for tests.
    #[cfg(test)]
    fn some(chance: &mut tests::Chance) -> Self;

    /// Writes several values.
    fn write_all(all: &[Self], out: &mut Vec<u8>) {
        put::array(out, all.len());
        for value in all {
            value.write(out);
        }
    }

    fn read_vec(input: &mut Bytes<'_>) -> Result<Vec<Self>, Malformed> {
        several::elements(input)
    }

    fn read_array<const N: usize>(input: &mut Bytes<'_>) -> Result<[Self; N], Malformed> {
        several::array(input)
    }
}

/// Why a message is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A later version has added the number of its kind, or of a choice in it.
    Unknown,
    /// No version writes such a message.
    Because(&'static str),
}

impl Malformed {
    const CUT: Self = Self::Because("it ends in the middle of a value");
    const RANGE: Self = Self::Because("a value is out of its range");

    /// The text for people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "a later version of tcptrace has added what it has",
            Self::Because(why) => why,
        }
    }
}

/// Appends a header.
pub(super) fn write_header(header: &Header, out: &mut Vec<u8>) {
    header.write(out);
}

/// Reads a header.
///
/// # Errors
/// [`Malformed`].
pub(super) fn read_header(message: &[u8]) -> Result<Header, Malformed> {
    Header::read(&mut Bytes::new(message))
}

/// Appends an input as a message.
pub(super) fn write_input(input: &Input<'_>, out: &mut Vec<u8>) {
    input::write(input, out);
}

/// Reads a message.
///
/// # Errors
/// [`Malformed`].
pub(super) fn read_input(message: &[u8]) -> Result<Input<'_>, Malformed> {
    input::read(&mut Bytes::new(message))
}
