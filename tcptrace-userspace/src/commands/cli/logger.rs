//! `-v`: diagnostics, the kernel side's among them, on standard error.

use std::io::{self, Write as _};

use log::{LevelFilter, Log, Metadata, Record};
use tcptrace_core::model::text::Escaped;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        let _ = writeln!(
            io::stderr(),
            "tcptrace: {}: {}",
            record.level().as_str().to_lowercase(),
            Escaped(message.as_bytes())
        );
    }

    fn flush(&self) {}
}

/// Sends what the `log` crate gets to standard error.
pub(super) fn install() {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
