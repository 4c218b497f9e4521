//! Schemas that allow less than they say.

use serde_json::Value;

/// With objects that may have no members but those described.
pub(crate) fn strict(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for (keyword, value) in members.iter_mut() {
                let open = keyword == "additionalProperties" && *value == Value::Bool(true);
                *value = if open { Value::Bool(false) } else { strict(value.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = strict(item.take())),
        _ => {}
    }
    schema
}
