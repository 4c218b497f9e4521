//! The version of what JSON looks like.

/// Of streams (`docs/output.schema.json`) and sockets (`docs/sockets.schema.json`). Raised when a consumer could stumble over a
/// change; new fields do not raise it.
pub(super) const SCHEMA: u32 = 1;
