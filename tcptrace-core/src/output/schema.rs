//! The version of the JSON formats.

/// The version of streams (`docs/output.schema.json`) and sockets (`docs/sockets.schema.json`). It is raised when a consumer
/// could stumble over a change; new fields do not raise it.
pub(super) const SCHEMA: u32 = 1;
