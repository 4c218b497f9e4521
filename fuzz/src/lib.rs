//! What reads bytes that others wrote, each as a function of any bytes: it must not panic, hang or eat memory, and what it
//! makes of them must hold together.
//!
//! `cargo xtask fuzz` has libFuzzer call them; `tcptrace-userspace/tests/fuzz.rs` has these files as a module, and calls
//! them with what is in `corpus` and `regressions`, so that no finding comes back.

mod captures;
mod layouts;
mod records;
mod settings;

pub use captures::captures;
pub use layouts::layouts;
pub use records::records;
pub use settings::settings;
