//! Every way in which a connection can end: `trace` and `life` report the cause, the role, the lifetime and the
//! kernel's reason for a reset.

mod close;
mod connect;
mod life;
mod listener;
mod payload;
mod process;
mod reset;
mod second_child;
mod timeout;

/// A listener that its program closes.
const LISTENER: &str = "listener LISTEN stopped_listening";
