//! Captures of synthetic events, in the format of `docs/captures.md`. Their header and their end come from a recording
//! that tcptrace made itself.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tcptrace::fuzzing::frame;
use tcptrace_core::{
    capture::{MAGIC, VERSION, put},
    model::input::Input,
};

/// The last version whose messages have names instead of numbers.
const LAST_BY_NAMES: u16 = 4;

/// A message of a capture, written in the format version of the recording.
#[derive(Serialize)]
pub(crate) enum Message<'a> {
    /// An entry of the ring.
    Entry(#[serde(with = "serde_bytes")] &'a [u8]),
    /// Every record up to this time has been taken.
    Released(u64),
}

impl<'a> From<&Message<'a>> for Input<'a> {
    fn from(message: &Message<'a>) -> Self {
        match *message {
            Message::Entry(entry) => Self::Entry(entry),
            Message::Released(until_ns) => Self::Released(until_ns),
        }
    }
}

/// The header and the end of a recording.
pub(crate) struct Frame {
    version: u16,
    beginning: Vec<u8>,
    end: Vec<u8>,
}

/// Bytes of a frame's head: compressed length, raw length, checksum.
const HEAD: usize = 12;
/// Raw bytes at which a frame is written.
const FULL: usize = 64 << 10;

impl Frame {
    /// Reads the frame of this recording.
    ///
    /// # Errors
    /// When the recording has another form.
    pub(crate) fn of(recording: &Path) -> Result<Self> {
        let bytes = fs::read(recording).context("the recording")?;
        ensure!(bytes.starts_with(&MAGIC), "not a capture");
        let version = bytes[MAGIC.len()..].first_chunk().context("no version")?;
        let version = u16::from_le_bytes(*version);
        let mut at = MAGIC.len() + size_of_val(&VERSION);
        next(&bytes, &mut at).context("no header")?;
        let beginning = bytes[..at].to_vec();
        let mut last = None;
        while let Some(raw) = next(&bytes, &mut at) {
            let mut rest = &raw[..];
            while let Some((len, behind)) = rest.split_first_chunk::<4>() {
                let len = usize::try_from(u32::from_le_bytes(*len))?;
                let (message, behind) = behind.split_at_checked(len).context("a message that is cut")?;
                (last, rest) = (Some(message.to_vec()), behind);
            }
        }
        Ok(Self { version, beginning, end: last.context("nothing behind the header")? })
    }

    /// Begins a capture.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn begin(&self, file: &Path) -> Result<Writer<'_>> {
        let mut out = BufWriter::new(File::create(file).context("the capture")?);
        out.write_all(&self.beginning)?;
        Ok(Writer { version: self.version, out, raw: Vec::new(), end: &self.end })
    }
}

/// The raw bytes of the frame at `at`, which moves behind it.
fn next(bytes: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let head = bytes.get(*at..*at + HEAD)?;
    let word = |from: usize| Some(u32::from_le_bytes(*head[from..].first_chunk()?) as usize);
    let (start, raw_len) = (*at + HEAD, word(4)?);
    *at = start + word(0)?;
    lz4_flex::block::decompress(bytes.get(start..*at)?, raw_len).ok()
}

/// A capture that is being written.
pub(crate) struct Writer<'a> {
    version: u16,
    out: BufWriter<File>,
    raw: Vec<u8>,
    end: &'a [u8],
}

impl Writer<'_> {
    /// Writes a message.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn put(&mut self, message: &Message<'_>) -> Result<()> {
        if self.version > LAST_BY_NAMES {
            put(&message.into(), &mut self.raw);
        } else {
            self.message(&rmp_serde::to_vec(message)?)?;
        }
        if self.raw.len() >= FULL { self.flush() } else { Ok(()) }
    }

    fn message(&mut self, message: &[u8]) -> Result<()> {
        self.raw.extend(u32::try_from(message.len())?.to_le_bytes());
        self.raw.extend(message);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&frame(&self.raw)?)?;
        self.raw.clear();
        Ok(())
    }

    /// Writes the end of the capture.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        let end = self.end;
        self.message(end)?;
        self.flush()?;
        self.out.flush().context("the capture")
    }
}
