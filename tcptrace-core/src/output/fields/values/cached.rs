//! Values whose text was made before.

use std::marker::PhantomData;

use crate::output::fields::{
    columns::{BLOCKS, Columns, Layout},
    line::Line,
    schema::{Definitions, Members, Schema},
    value::Value,
};

/// The texts of a value: in JSON the first one only, in CSV one per block.
pub(in crate::output) type Texts = [Vec<u8>; BLOCKS];

/// A value by its text.
pub(in crate::output) struct Cached<'a, V> {
    texts: &'a Texts,
    value: PhantomData<V>,
}

impl<V> Clone for Cached<'_, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Cached<'_, V> {}

impl<'a, V> Cached<'a, V> {
    /// A value with these texts, which a [`Form`] has written.
    pub(in crate::output) fn new(texts: &'a Texts) -> Self {
        Self { texts, value: PhantomData }
    }
}

impl<V: Value> Value for Cached<'_, V> {
    const COLUMNS: Option<Columns> = V::COLUMNS;
    const SPLICED: bool = V::SPLICED;

    #[inline(always)]
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.texts[0]);
    }

    #[inline(always)]
    fn member(&self, key: &'static str, out: &mut Vec<u8>) {
        if !V::SPLICED {
            out.extend_from_slice(key.as_bytes());
        }
        self.json(out);
    }

    fn text(&self, _: &mut Vec<u8>) {}

    #[inline(always)]
    fn cells<L: Layout, const BLOCK: u8>(&self, line: &mut Line<'_>) {
        line.cells(&self.texts[const { BLOCK as usize }], const { count::<V>(BLOCK, L::BIRTH) });
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        V::schema(definitions)
    }

    fn describe(name: &'static str, doc: &str, members: &mut Members, definitions: &mut Definitions) {
        V::describe(name, doc, members, definitions);
    }
}

const fn count<V: Value>(block: u8, birth: u8) -> usize {
    match V::COLUMNS {
        Some(columns) => columns.count(block, birth),
        None => 1,
    }
}

/// A format in which texts are written.
pub(in crate::output) trait Form {
    /// Writes the texts of a value.
    fn write<V: Value>(value: &V, texts: &mut Texts);
}

/// JSON.
pub(in crate::output) struct InJson;

impl Form for InJson {
    fn write<V: Value>(value: &V, [text, ..]: &mut Texts) {
        text.clear();
        value.json(text);
    }
}

/// A form of CSV.
pub(in crate::output) struct InCsv<L>(PhantomData<L>);

impl<L: Layout> Form for InCsv<L> {
    fn write<V: Value>(value: &V, texts: &mut Texts) {
        block::<V, L, 0>(value, texts);
        block::<V, L, 1>(value, texts);
        block::<V, L, 2>(value, texts);
        block::<V, L, 3>(value, texts);
        block::<V, L, 4>(value, texts);
        block::<V, L, 5>(value, texts);
        block::<V, L, 6>(value, texts);
        block::<V, L, 7>(value, texts);
    }
}

fn block<V: Value, L: Layout, const BLOCK: u8>(value: &V, texts: &mut Texts) {
    let text = &mut texts[const { BLOCK as usize }];
    if const { count::<V>(BLOCK, L::BIRTH) > 0 } {
        text.clear();
        value.cells::<L, BLOCK>(&mut Line::part(text));
    }
}
