//! Commands that read captures from memory, and the frames of captures. They print nothing on standard output and
//! standard error. The fuzz targets in `fuzz/` and the benchmarks in `benches/`, which are crates of their own, use
//! them. This module is no part of the interface.

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

/// Name of the capture in errors.
const NAME: &str = "memory";

/// A frame of a capture that holds these bytes.
///
/// # Errors
/// There are more bytes than a frame can have.
pub fn frame(raw: &[u8]) -> io::Result<Vec<u8>> {
    encode(raw)
}

/// Prints to `out` as [`stream::replay`] does.
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

/// Returns the report of [`diagnose::replay`].
///
/// # Errors
/// [`enum@session::Error`].
pub fn diagnose(capture: &[u8], settings: &diagnose::Settings) -> Result<Report, session::Error> {
    diagnose::replay_from(Reader::new(capture, Path::new(NAME))?, settings)
}

/// Prints to `out` as [`sockets::replay`] does.
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
