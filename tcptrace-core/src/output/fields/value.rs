//! The values of rows.

use super::{
    columns::{Columns, Layout},
    line::Line,
    schema::{Definitions, Members, Schema},
};
use crate::output::put;

/// The form of a value in JSON, in CSV and in the schema.
pub(in crate::output) trait Value {
    /// The columns of a value that has several; `None` for a value that has one, by the name of its row.
    const COLUMNS: Option<Columns> = None;
    /// The value has no key of its own: its members are those of the object around it.
    const SPLICED: bool = false;

    /// Appends it as JSON.
    fn json(&self, out: &mut Vec<u8>);

    /// Appends it after its key. The key includes the comma and the colon.
    #[inline(always)]
    fn member(&self, key: &'static str, out: &mut Vec<u8>) {
        out.extend_from_slice(key.as_bytes());
        self.json(out);
    }

    /// Appends it as a field of CSV; for a value with several columns, see [`Self::cells`].
    fn text(&self, out: &mut Vec<u8>);

    /// Appends its columns of a block.
    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        line.cell(|out| self.text(out));
    }

    /// Its schema.
    fn schema(definitions: &mut Definitions) -> Schema;

    /// Adds its row to the schema.
    fn describe(name: &'static str, doc: &str, members: &mut Members, definitions: &mut Definitions) {
        members.required(name, Self::schema(definitions).about(doc));
    }
}

/// Appends the text of a value as a JSON string. The text needs no escaping.
#[inline(always)]
pub(in crate::output) fn in_quotes(value: &impl Value, out: &mut Vec<u8>) {
    out.push(b'"');
    value.text(out);
    out.push(b'"');
}

/// An optional value: `null`, and empty in CSV.
impl<V: Value> Value for Option<V> {
    const COLUMNS: Option<Columns> = V::COLUMNS;

    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.json(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.text(out);
        }
    }

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        match self {
            Some(value) => value.cells::<L, BLOCK>(line),
            None => line.blank(
                const {
                    match V::COLUMNS {
                        Some(group) => group.count(BLOCK, L::BIRTH),
                        None => 1,
                    }
                },
            ),
        }
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        V::schema(definitions).or_null()
    }
}

/// A value that may be absent from JSON, and empty in CSV.
pub(in crate::output) struct Absent<V>(pub(in crate::output) Option<V>);

impl<V: Value> Value for Absent<V> {
    const COLUMNS: Option<Columns> = V::COLUMNS;

    fn json(&self, out: &mut Vec<u8>) {
        self.0.json(out);
    }

    #[inline(always)]
    fn member(&self, key: &'static str, out: &mut Vec<u8>) {
        if let Some(value) = &self.0 {
            value.member(key, out);
        }
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.0.text(out);
    }

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        self.0.cells::<L, BLOCK>(line);
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        V::schema(definitions)
    }

    fn describe(name: &'static str, doc: &str, members: &mut Members, definitions: &mut Definitions) {
        members.optional(name, V::schema(definitions).about(doc));
    }
}

macro_rules! numbers {
    ($($number:ty: |$definitions:ident| $schema:expr;)*) => { $(
        impl Value for $number {
            #[inline(always)]
            fn json(&self, out: &mut Vec<u8>) {
                put::number(out, *self);
            }

            #[inline(always)]
            fn text(&self, out: &mut Vec<u8>) {
                put::number(out, *self);
            }

            fn schema($definitions: &mut Definitions) -> Schema {
                $schema
            }
        }
    )* };
}
numbers! {
    u8: |_definitions| Schema::integer(0, u8::MAX.into());
    u16: |definitions| definitions.refer("u16", Schema::integer(0, u16::MAX.into()));
    u32: |definitions| definitions.refer("u32", Schema::integer(0, u32::MAX.into()));
    u64: |definitions| definitions.refer("u64", Schema::integer(0, u64::MAX));
    usize: |definitions| u64::schema(definitions);
    i32: |_definitions| Schema::of_type("integer");
    i64: |_definitions| Schema::of_type("integer");
}

impl Value for bool {
    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    #[inline(always)]
    fn text(&self, out: &mut Vec<u8>) {
        self.json(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("boolean")
    }
}

/// Seconds.
impl Value for f64 {
    fn json(&self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        drop(serde_json::to_writer(out, self));
    }

    fn text(&self, out: &mut Vec<u8>) {
        self.json(out);
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::of_type("number").with("minimum", 0)
    }
}
