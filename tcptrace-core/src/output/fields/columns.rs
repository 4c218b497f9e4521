//! The columns of CSV, ordered when tcptrace is compiled.

use super::value::Value;

/// Maximum number of columns of a form of CSV.
const MOST: usize = 64;
/// The block of values without a column.
const NOWHERE: u8 = u8::MAX;

/// The blocks of a line of CSV. A line has the columns of block 0 first, in the order of their rows, then those of block 1,
/// and so on: a new column takes a new block, so that it comes last.
pub(in crate::output) const BLOCKS: usize = 8;

/// A column: its name, in two parts, and its block.
#[derive(Clone, Copy)]
pub(in crate::output) struct Column {
    prefix: &'static str,
    name: &'static str,
    block: u8,
}

impl Column {
    /// A byte of the name; `None` behind its end.
    const fn byte(&self, index: usize) -> Option<u8> {
        let (prefix, name) = (self.prefix.as_bytes(), self.name.as_bytes());
        if index < prefix.len() {
            Some(prefix[index])
        } else if index - prefix.len() < name.len() {
            Some(name[index - prefix.len()])
        } else {
            None
        }
    }

    const fn is_named_as(&self, other: &Self) -> bool {
        let mut index = 0;
        loop {
            match (self.byte(index), other.byte(index)) {
                (None, None) => return true,
                (Some(this), Some(that)) if this == that => index += 1,
                _ => return false,
            }
        }
    }
}

/// Columns in a row.
#[derive(Clone, Copy)]
pub(in crate::output) struct Columns {
    all: [Column; MOST],
    len: usize,
}

impl Columns {
    /// No columns.
    pub(in crate::output) const NONE: Self =
        Self { all: [Column { prefix: "", name: "", block: NOWHERE }; MOST], len: 0 };

    /// The columns of a row: one, or those of a group, whose names begin with that of the row.
    pub(in crate::output) const fn of<V: Value>(name: &'static str, block: u8) -> Self {
        assert!((block as usize) < BLOCKS, "a line has no such block");
        let Some(group) = V::COLUMNS else { return Self::NONE.with(Column { prefix: "", name, block }) };
        assert!(block == 0, "the blocks of a group are those of its own rows");
        let (mut columns, mut index) = (Self::NONE, 0);
        while index < group.len {
            let mut column = group.all[index];
            if !name.is_empty() {
                assert!(column.prefix.is_empty(), "a name has one prefix");
                column.prefix = name;
            }
            columns = columns.with(column);
            index += 1;
        }
        columns
    }

    /// Columns of a block with these names.
    pub(in crate::output) const fn named(names: &[&'static str], block: u8) -> Self {
        let (mut columns, mut index) = (Self::NONE, 0);
        while index < names.len() {
            columns = columns.with(Column { prefix: "", name: names[index], block });
            index += 1;
        }
        columns
    }

    const fn with(mut self, column: Column) -> Self {
        self.all[self.len] = column;
        self.len += 1;
        self
    }

    /// These columns, and those of `more` that are not among them.
    pub(in crate::output) const fn and(mut self, more: &Self) -> Self {
        let mut index = 0;
        while index < more.len {
            if self.find(&more.all[index]).is_none() {
                self = self.with(more.all[index]);
            }
            index += 1;
        }
        self
    }

    /// The columns in the order of their blocks. All blocks up to `birth`, when this form of CSV began, are one block.
    pub(in crate::output) const fn ordered(&self, birth: u8) -> Self {
        let (mut columns, mut block) = (Self::NONE, 0);
        while block < NOWHERE {
            let mut index = 0;
            while index < self.len {
                if later(self.all[index].block, birth) == block {
                    columns = columns.with(self.all[index]);
                }
                index += 1;
            }
            block += 1;
        }
        columns
    }

    /// The number of columns in a block.
    pub(in crate::output) const fn count(&self, block: u8, birth: u8) -> usize {
        let (mut count, mut index) = (0, 0);
        while index < self.len {
            if later(self.all[index].block, birth) == block {
                count += 1;
            }
            index += 1;
        }
        count
    }

    /// The place in a line of the first of these columns that is in a block.
    pub(in crate::output) const fn place_in(&self, line: &Self, block: u8, birth: u8) -> usize {
        let mut index = 0;
        while later(self.all[index].block, birth) != block {
            index += 1;
        }
        line.find(&self.all[index]).expect("the line has this column")
    }

    const fn find(&self, column: &Column) -> Option<usize> {
        let mut index = 0;
        while index < self.len {
            if self.all[index].is_named_as(column) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The number of columns.
    pub(in crate::output) const fn len(&self) -> usize {
        self.len
    }

    /// The names of the columns.
    pub(in crate::output) fn names(&self) -> impl Iterator<Item = String> {
        self.all[..self.len].iter().map(|column| [column.prefix, column.name].concat())
    }
}

const fn later(block: u8, birth: u8) -> u8 {
    if block > birth { block } else { birth }
}

/// A form of CSV: the columns of its lines.
pub(in crate::output) trait Layout {
    /// The newest block when this form began. The first block of this form has all columns of blocks up to this one.
    const BIRTH: u8;
    /// Its columns, ordered.
    const COLUMNS: Columns;
}
