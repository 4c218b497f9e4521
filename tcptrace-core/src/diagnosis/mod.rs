//! Faults of the host, and the coverage of the host.

pub mod detect;
pub mod explain;
pub mod report;
mod stage;

pub use stage::Detection;
