//! Values that consist of any number of others.

use crate::{
    model::state::State,
    output::{
        fields::{
            schema::{Definitions, Schema},
            value::Value,
        },
        put,
    },
};

/// An array; in CSV, the number of its elements.
pub(in crate::output) struct Array<I>(pub(in crate::output) I);

impl<V: Value, I: Iterator<Item = V> + Clone> Value for Array<I> {
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.0.clone().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.json(out);
        }
        out.push(b']');
    }

    fn text(&self, out: &mut Vec<u8>) {
        put::number(out, self.0.clone().count());
    }

    fn schema(definitions: &mut Definitions) -> Schema {
        Schema::list_of(V::schema(definitions))
    }
}

/// Counts by state, in this order.
pub(in crate::output) struct StateCounts<'a>(pub(in crate::output) &'a [(State, u64)]);

impl Value for StateCounts<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (state, count)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            state.json(out);
            out.push(b':');
            count.json(out);
        }
        out.push(b'}');
    }

    fn text(&self, _: &mut Vec<u8>) {}

    fn schema(definitions: &mut Definitions) -> Schema {
        let names = State::schema(definitions);
        let counts = u64::schema(definitions);
        Schema::of_type("object").with("propertyNames", names).with("additionalProperties", counts)
    }
}

/// Texts that tcptrace made.
pub(in crate::output) struct Strings<'a>(pub(in crate::output) &'a [String]);

impl Value for Strings<'_> {
    fn json(&self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        drop(serde_json::to_writer(out, self.0));
    }

    fn text(&self, out: &mut Vec<u8>) {
        put::number(out, self.0.len());
    }

    fn schema(_: &mut Definitions) -> Schema {
        Schema::list_of(Schema::of_type("string"))
    }
}
