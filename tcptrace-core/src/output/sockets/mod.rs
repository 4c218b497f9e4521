//! The table of sockets, in every format.

mod columns;
mod csv;
mod groups;
mod json;
mod summary;
mod text;

use std::io;

use super::Format;
use crate::model::{
    clock::Clock,
    scan::{By, SocketScan},
};

pub use summary::sentence;

/// How to show it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Which format.
    pub format: Format,
    /// Colour in text and wide.
    pub colour: bool,
}

/// What is to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The sockets.
    pub scan: &'a SocketScan,
    /// Counts by this instead.
    pub by: Option<By>,
    /// When the scan began, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// From monotonic time to the time of day.
    pub clock: Clock,
}

/// Appends everything to `out`; calls `flush` after each line, which may take what is there.
///
/// # Errors
/// Those of `flush`.
pub fn render(
    style: Style,
    seen: &Seen<'_>,
    out: &mut Vec<u8>,
    mut flush: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let scan = seen.scan;
    if let Some(by) = seen.by {
        let groups = scan.groups(by);
        match style.format {
            Format::Text | Format::Wide => {
                groups::text(seen, &groups, by, style.format == Format::Wide, out)?;
            }
            Format::Csv => groups::csv(&groups, by, out),
            Format::Json => {
                groups::json(&groups, by, out)?;
                summary::json(seen, out)?;
            }
        }
        return flush(out);
    }
    match style.format {
        Format::Text | Format::Wide => {
            let table = text::Table::new(scan, style.colour, style.format == Format::Wide);
            table.header(out);
            for socket in &scan.sockets {
                table.line(socket, out)?;
                flush(out)?;
            }
        }
        Format::Csv => {
            csv::header(out);
            for socket in &scan.sockets {
                csv::row(&scan.owners, socket, out);
                flush(out)?;
            }
        }
        Format::Json => {
            for socket in &scan.sockets {
                json::line(&scan.owners, socket, out)?;
                flush(out)?;
            }
            summary::json(seen, out)?;
        }
    }
    flush(out)
}

/// Whether a format is a table for people, of which several need something between them.
pub fn is_for_people(format: Format) -> bool {
    matches!(format, Format::Text | Format::Wide)
}
