//! The tables. Those of findings, and of what `tcptrace sockets` counts, have their rows in alphabetical order.

pub(in crate::output) mod clock_step;
pub(in crate::output) mod close;
pub(in crate::output) mod connection;
pub(in crate::output) mod degraded;
pub(in crate::output) mod ends;
pub(in crate::output) mod evidence;
pub(in crate::output) mod finding;
pub(in crate::output) mod half_open;
pub(in crate::output) mod loss;
pub(in crate::output) mod owner;
pub(in crate::output) mod report;
pub(in crate::output) mod socket;
pub(in crate::output) mod sockets_group;
pub(in crate::output) mod sockets_summary;
pub(in crate::output) mod summary;
pub(in crate::output) mod transition;
