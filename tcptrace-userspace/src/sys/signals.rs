//! The signals that ask a command to end, taken over from their default action, which would end it without an account.

use std::{fs, future::pending, io};

use nix::sys::signal;
use tokio::signal::unix::{Signal, SignalKind, signal as listen};

/// Ctrl-C, `kill`, and the end of the terminal.
pub(crate) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where this process ignores SIGHUP from its start on, as under `nohup`.
    hangup: Option<Signal>,
}

impl Ending {
    /// Installs the handlers, within a tokio runtime.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn install() -> io::Result<Self> {
        let outlives_terminal = is_ignored(signal::Signal::SIGHUP);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: (!outlives_terminal).then(|| listen(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits until one of the signals comes.
    pub(crate) async fn any(&mut self) {
        let Self { interrupt, terminate, hangup } = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether this process ignores a signal. Only `unsafe` code could ask `sigaction()`.
fn is_ignored(signal: signal::Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored(&status).is_some_and(|mask| mask & 1 << (signal as u32 - 1) != 0)
}

/// The mask of ignored signals in the text of a `/proc/PID/status`.
fn ignored(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask() {
        assert_eq!(ignored("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(ignored("Name:\tSigIgn\n"), None);
    }
}
