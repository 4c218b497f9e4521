//! Reading a capture.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    Damage, Error, MAGIC, VERSION, frame,
    wire::{self, Malformed},
};
use crate::model::{header::Header, input::Input};

/// A capture that is being read.
pub struct Reader<R> {
    input: R,
    header: Header,
    /// Where the next frame begins.
    at: u64,
    /// Where this frame begins.
    frame_at: u64,
    /// The frame as it was read.
    body: Vec<u8>,
    /// Its bytes.
    raw: Vec<u8>,
    /// How much of `raw` was read so far.
    taken: usize,
    has_ended: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`enum@Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::new(BufReader::new(file), path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads everything before the inputs. `path` is for errors.
    ///
    /// # Errors
    /// [`enum@Error`].
    pub fn new(mut input: R, path: &Path) -> Result<Self, Error> {
        let path = || PathBuf::from(path);
        let mut first = [0; MAGIC.len() + 2];
        if input.read_exact(&mut first).is_err() || first[..MAGIC.len()] != MAGIC {
            return Err(Error::NoCapture(path()));
        }
        let version = u16::from_le_bytes([first[MAGIC.len()], first[MAGIC.len() + 1]]);
        if version == 0 || version > VERSION {
            return Err(Error::Version { path: path(), version });
        }
        let (mut at, mut body, mut raw) = (first.len() as u64, Vec::new(), Vec::new());
        let start = at;
        let header = match frame::decode(&mut input, &mut at, &mut body, &mut raw) {
            Ok(true) => wire::read_header(&raw)
                .map_err(|malformed| Damage::Content { at: start, why: malformed.text().to_owned() }),
            Ok(false) => Err(Damage::Truncated(start)),
            Err(damage) => Err(damage),
        };
        let header = header.and_then(|header| {
            if header.little_endian == cfg!(target_endian = "little") {
                return Ok(header);
            }
            let why = "it is of a machine with another order of bytes".to_owned();
            Err(Damage::Content { at: start, why })
        });
        let header = header.map_err(|damage| Error::Damaged { path: path(), damage })?.distrusted();
        raw.clear();
        Ok(Self { input, header, at, frame_at: at, body, raw, taken: 0, has_ended: false })
    }

    /// The same reader, for a source of any type.
    pub fn boxed(self) -> Reader<Box<dyn Read + Send>>
    where
        R: Send + 'static,
    {
        let Self { input, header, at, frame_at, body, raw, taken, has_ended } = self;
        Reader { input: Box::new(input), header, at, frame_at, body, raw, taken, has_ended }
    }

    /// The header at its beginning.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next input; [`Input::Unknown`] where this version does not know it; `None` at the end.
    ///
    /// # Errors
    /// [`Damage`], after which there is nothing more to be read.
    pub fn next_input(&mut self) -> Result<Option<Input<'_>>, Damage> {
        while self.taken == self.raw.len() {
            self.frame_at = self.at;
            self.taken = 0;
            let read = frame::decode(&mut self.input, &mut self.at, &mut self.body, &mut self.raw);
            if read != Ok(true) {
                self.raw.clear();
            }
            if !read? {
                return if self.has_ended { Ok(None) } else { Err(Damage::NoEnd) };
            }
        }
        let rest = &self.raw[self.taken..];
        let (message, after) = split(rest).ok_or_else(|| self.senseless("a length in it makes no sense"))?;
        let input = match wire::read_input(message) {
            Ok(input) => input.distrusted(),
            Err(Malformed::Unknown) => Input::Unknown,
            Err(malformed) => return Err(self.senseless(malformed.text())),
        };
        self.taken = self.raw.len() - after;
        // An unknown input may follow the end.
        if !matches!(input, Input::Unknown) {
            self.has_ended = matches!(input, Input::Ended(_));
        }
        Ok(Some(input))
    }

    /// The damage of the last frame that was read: it holds something that cannot be.
    pub fn senseless(&self, why: &str) -> Damage {
        Damage::Content { at: self.frame_at, why: why.to_owned() }
    }
}

/// The first of several messages, each after its length; and the number of bytes that follow it.
fn split(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let message = rest.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    Some((message, rest.len() - message.len()))
}
