//! The table of sockets, in every format.

mod columns;
mod groups;
mod summary;
mod text;

use std::io;

use super::{
    Format,
    fields::{
        Columns, Fields, Layout, header, object, row,
        tables::{socket, sockets_group},
    },
};
use crate::model::{
    clock::Clock,
    scan::{By, SocketScan},
};

pub(super) use groups::title;
pub use summary::sentence;

/// The columns of sockets. They have the first owner of a socket that has several.
struct Sockets;

impl Layout for Sockets {
    const BIRTH: u8 = 2;
    const COLUMNS: Columns = socket::Line::COLUMNS.ordered(Self::BIRTH);
}

/// The columns of groups: one for each state that has a name, then one for all others.
struct Groups;

impl Layout for Groups {
    const BIRTH: u8 = 0;
    const COLUMNS: Columns = sockets_group::Line::COLUMNS.ordered(Self::BIRTH);
}

/// How to show the table.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The format.
    pub format: Format,
    /// Colour in text and wide.
    pub colour: bool,
}

/// A scan to show.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The sockets.
    pub scan: &'a SocketScan,
    /// The key of the counts that are shown instead of the sockets, if any.
    pub by: Option<By>,
    /// When the scan began, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// The relation from monotonic time to the time of day.
    pub clock: Clock,
}

/// Appends everything to `out`. Calls `flush` after each line; `flush` may take the bytes so far.
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
            Format::Csv => {
                header(&Groups, out);
                for group in &groups {
                    row(&Groups, &sockets_group::Line { by, group }, out);
                }
            }
            Format::Json => {
                for group in &groups {
                    object(&sockets_group::Line { by, group }, out);
                    out.push(b'\n');
                }
                summary::json(seen, out);
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
            header(&Sockets, out);
            for socket in &scan.sockets {
                row(&Sockets, &socket::Line { owners: &scan.owners, socket }, out);
                flush(out)?;
            }
        }
        Format::Json => {
            for socket in &scan.sockets {
                object(&socket::Line { owners: &scan.owners, socket }, out);
                out.push(b'\n');
                flush(out)?;
            }
            summary::json(seen, out);
        }
    }
    flush(out)
}

/// Whether a format is a table for people. Several tables need a separator between them.
pub fn is_for_people(format: Format) -> bool {
    matches!(format, Format::Text | Format::Wide)
}
