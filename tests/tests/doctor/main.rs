//! `tcptrace doctor`: what it says is compared with what a trace does, with `/proc` and with tracefs.

mod degraded;
mod host;
mod others;
mod output;
mod report;
