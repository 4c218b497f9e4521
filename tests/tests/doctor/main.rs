//! `tcptrace doctor`: its report, compared with a trace, with `/proc` and with tracefs.

mod degraded;
mod host;
mod others;
mod output;
mod report;
