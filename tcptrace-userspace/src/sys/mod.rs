//! Small helpers for the operating system: clocks, priority, signals of the process, texts of `/proc`, waiting with a limit.

pub mod clock;
pub mod disk;
pub(crate) mod host;
pub(crate) mod mountinfo;
pub(crate) mod priority;
pub(crate) mod signals;
pub(crate) mod stall_timeout;
pub(crate) mod wait;
