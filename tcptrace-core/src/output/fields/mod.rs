//! The fields of every record, each once: JSON, CSV and the schemas in `docs/` follow from these tables.
//!
//! A row has a name, a type, the way to its value, and a description. To add a field is to add a row to its table in
//! [`tables`], and then `cargo xtask schemas --write`.

mod columns;
mod line;
mod schema;
mod table;
pub(super) mod tables;
mod value;
pub(super) mod values;

pub(super) use columns::{Columns, Layout};
pub(super) use line::{header, row};
pub use schema::schemas;
pub(super) use table::{Fields, object};

#[cfg(test)]
mod tests;
