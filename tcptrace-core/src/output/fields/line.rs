//! A line of CSV while it is written.

use super::columns::{BLOCKS, Layout};
use super::table::Fields;

/// Commas for as many empty fields as a line may have one after the other.
const COMMAS: [u8; 64] = [b','; 64];

/// A line. Everything about its columns is known when tcptrace is compiled, so that only bytes are copied at run time.
pub(in crate::output) struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// The number of fields so far.
    at: usize,
}

impl<'a> Line<'a> {
    /// The part of a line after other fields.
    pub(in crate::output) fn part(out: &'a mut Vec<u8>) -> Self {
        Self { out, at: 1 }
    }

    /// Appends a field.
    #[inline(always)]
    pub(in crate::output) fn cell(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        if self.at > 0 {
            self.out.push(b',');
        }
        self.at += 1;
        put(self.out);
    }

    /// Appends fields that are text already, commas included.
    #[inline(always)]
    pub(in crate::output) fn cells(&mut self, text: &[u8], count: usize) {
        self.at += count;
        self.out.extend_from_slice(text);
    }

    /// Appends empty fields.
    #[inline(always)]
    pub(in crate::output) fn blank(&mut self, count: usize) {
        // The first field of a line has no comma before it.
        let commas = if self.at == 0 { count.saturating_sub(1) } else { count };
        self.at += count;
        self.out.extend_from_slice(&COMMAS[..commas]);
    }

    /// Appends empty fields up to a column.
    #[inline(always)]
    pub(in crate::output) fn to(&mut self, column: usize) {
        debug_assert!(self.at <= column, "rows are in the order of their columns");
        self.blank(column.saturating_sub(self.at));
    }
}

/// Appends the header line of a form.
pub(in crate::output) fn header<L: Layout>(_: &L, out: &mut Vec<u8>) {
    let names: Vec<String> = L::COLUMNS.names().collect();
    out.extend_from_slice(names.join(",").as_bytes());
    out.push(b'\n');
}

/// Appends a record as a line of a form. Columns that it has no row for stay empty.
#[inline(always)]
pub(in crate::output) fn row<L: Layout, T: Fields>(_: &L, record: &T, out: &mut Vec<u8>) {
    const { assert!(BLOCKS == 8, "each block is written") }
    let mut line = Line { out, at: 0 };
    record.cells::<L, 0, false>(&mut line);
    record.cells::<L, 1, false>(&mut line);
    record.cells::<L, 2, false>(&mut line);
    record.cells::<L, 3, false>(&mut line);
    record.cells::<L, 4, false>(&mut line);
    record.cells::<L, 5, false>(&mut line);
    record.cells::<L, 6, false>(&mut line);
    record.cells::<L, 7, false>(&mut line);
    line.to(const { L::COLUMNS.len() });
    line.out.push(b'\n');
}
