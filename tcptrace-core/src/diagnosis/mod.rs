//! What is wrong, and how much of the host could be seen.

pub mod detect;
pub mod explain;
pub mod report;
mod stage;

pub use stage::Detection;
