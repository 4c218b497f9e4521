//! Captures from memory, without a word on standard output and standard error, and what they are made of: for the fuzz
//! targets in `fuzz/` and for `benches/`, which are crates of their own. No part of the interface.

use std::{io, path::Path};

use tcptrace_core::{
    capture::{Reader, Replayed, encode},
    diagnosis::report::Report,
    output,
};

use crate::{
    commands::{diagnose, sockets, stream},
    session,
};

/// What errors call the capture.
const NAME: &str = "memory";

/// A frame of a capture that holds these bytes.
///
/// # Errors
/// They are more than a frame can have.
pub fn frame(raw: &[u8]) -> io::Result<Vec<u8>> {
    encode(raw)
}

/// What [`stream::replay`] shows.
///
/// # Errors
/// [`enum@session::Error`].
pub fn trace(
    capture: &[u8],
    settings: &stream::Settings,
    out: &mut Vec<u8>,
) -> Result<Replayed, session::Error> {
    stream::replay_from(Reader::new(capture, Path::new(NAME))?, settings, |sink| sink, out)
}

/// What [`diagnose::replay`] reports.
///
/// # Errors
/// [`enum@session::Error`].
pub fn diagnose(capture: &[u8], settings: &diagnose::Settings) -> Result<Report, session::Error> {
    diagnose::replay_from(Reader::new(capture, Path::new(NAME))?, settings)
}

/// What [`sockets::replay`] shows.
///
/// # Errors
/// [`enum@sockets::Error`].
pub fn sockets(
    capture: &[u8],
    settings: &sockets::Settings,
    out: &mut Vec<u8>,
) -> Result<(), sockets::Error> {
    let (scan, _) = sockets::last_scan(Reader::new(capture, Path::new(NAME))?, settings)?;
    let style = output::sockets::Style { format: settings.format, colour: settings.colour };
    output::sockets::render(style, &scan.seen(settings), out, |_| Ok(())).map_err(sockets::Error::Output)
}
