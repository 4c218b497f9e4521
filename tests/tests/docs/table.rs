//! Tables for people: a header, and rows whose words are aligned with the words of the header.

use crate::shape::STATES;

/// The layout of a table, taken from real output.
pub(crate) struct Table {
    header: String,
    /// Words of the header with which a word in each real row is aligned at its beginning or its end.
    columns: Vec<Column>,
}

struct Column {
    begin: usize,
    end: usize,
    /// Whether the word in each real row is aligned at the beginning.
    is_left: bool,
    is_right: bool,
}

impl Column {
    /// Whether a row has a word there, aligned as in real rows. If real rows are aligned at both ends, one end is
    /// enough.
    fn fits(&self, row: &str) -> bool {
        (self.is_left && begins_word(row, self.begin)) || (self.is_right && ends_word(row, self.end))
    }
}

impl Table {
    /// The layout from a header and the rows below it.
    pub(crate) fn of(header: &str, rows: &[&str]) -> Self {
        assert!(!rows.is_empty(), "no row below {header}");
        let begins = (0..header.len()).filter(|at| begins_word(header, *at));
        let columns = begins.map(|begin| {
            let end = begin + header[begin..].find(' ').unwrap_or(header.len() - begin);
            let is_left = rows.iter().all(|row| begins_word(row, begin));
            Column { begin, end, is_left, is_right: rows.iter().all(|row| ends_word(row, end)) }
        });
        let columns = columns.filter(|column| column.is_left || column.is_right).collect();
        Self { header: header.to_owned(), columns }
    }

    /// Whether a documented header is of this table: equal to the last space. The header of counts by state may have
    /// other states, since they depend on the sockets.
    pub(crate) fn has_header(&self, header: &str) -> bool {
        let without_states = |line: &str| -> Vec<String> {
            line.split_whitespace().filter(|word| !STATES.contains(word)).map(str::to_owned).collect()
        };
        let counts = header.trim_start().starts_with("TOTAL");
        self.header == header || (counts && without_states(&self.header) == without_states(header))
    }

    /// Whether the columns of a row are where real rows have them.
    pub(crate) fn has_row(&self, row: &str) -> bool {
        self.columns.iter().all(|column| column.fits(row))
    }

    /// The number of columns that rows are compared by.
    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }
}

fn is_space(line: &str, at: usize) -> bool {
    line.as_bytes().get(at).is_none_or(|byte| *byte == b' ')
}

fn begins_word(line: &str, at: usize) -> bool {
    !is_space(line, at) && (at == 0 || is_space(line, at - 1))
}

fn ends_word(line: &str, end: usize) -> bool {
    is_space(line, end) && !is_space(line, end - 1)
}

#[test]
fn a_row_that_is_shifted_does_not_fit() {
    let table = Table::of("AGE OWNER  MS", &["1   a      1s", "20  bcdef   2"]);
    assert_eq!(table.columns(), 3);
    assert!(table.has_header("AGE OWNER  MS") && !table.has_header("AGE OWNER   MS"));
    assert!(table.has_row("300 ghi    99") && table.has_row("300 ghi   999"));
    assert!(!table.has_row("300  ghi   99") && !table.has_row("300 ghi    9"));
}
