//! Values that are tables of their own.

use crate::output::fields::{
    columns::{Columns, Layout},
    line::Line,
    schema::{Definitions, Members, Schema},
    table::{Fields, object},
    value::Value,
};

/// A table as an object in its row.
pub(in crate::output) struct Object<T>(pub(in crate::output) T);

impl<T: Fields> Value for Object<T> {
    const COLUMNS: Option<Columns> = Some(T::COLUMNS);

    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        object(&self.0, out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        self.0.cells::<L, BLOCK, true>(line);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        definitions.table::<T>()
    }
}

/// A table whose members are those of the object around its row. The name of the row is for readers of the code.
pub(in crate::output) struct Flat<T>(pub(in crate::output) T);

impl<T: Fields> Value for Flat<T> {
    const COLUMNS: Option<Columns> = Some(T::COLUMNS);
    const SPLICED: bool = true;

    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        self.0.members(out);
    }

    #[inline(always)]
    fn member(&self, _: &'static str, out: &mut Vec<u8>) {
        self.0.members(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        self.0.cells::<L, BLOCK, true>(line);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        definitions.table::<T>()
    }

    fn describe(_: &'static str, _: &str, members: &mut Members, definitions: &mut Definitions) {
        members.splice(Members::of::<T>(definitions));
    }
}
