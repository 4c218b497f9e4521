//! `tcptrace life`: one line per connection, when it has ended.

mod csv;
mod json;
mod text;

pub(super) use csv::Csv;
pub(super) use json::Json;
pub(super) use text::Text;
