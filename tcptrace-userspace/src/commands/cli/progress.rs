//! How far a watch is, on a terminal.

use std::{
    io,
    time::{Duration, Instant},
};

use tcptrace_core::model::finding::Finding;

/// A line that is written again and again. It is ended when the watch is over, however that came: what is printed then has
/// a line of its own.
pub(super) struct Progress<W: io::Write> {
    begun: Instant,
    duration: Duration,
    terminal: Option<W>,
    is_open: bool,
}

impl<W: io::Write> Progress<W> {
    /// Of a watch that begins now; without a terminal nothing is shown.
    pub(super) fn new(duration: Duration, terminal: Option<W>) -> Self {
        Self { begun: Instant::now(), duration, terminal, is_open: false }
    }

    /// Shows how far it is, and how much is found by now.
    pub(super) fn show(&mut self, findings: &[Finding]) {
        let Some(terminal) = &mut self.terminal else { return };
        let (now, all) = (self.begun.elapsed().min(self.duration).as_secs(), self.duration.as_secs());
        // What a longer line has left behind it is erased.
        let _ = write!(terminal, "\r{now} s of {all} s, findings so far: {}\x1b[K", findings.len());
        let _ = terminal.flush();
        self.is_open = true;
    }
}

impl<W: io::Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| self.is_open) {
            let _ = writeln!(terminal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As after Ctrl-C, long before its time.
    #[test]
    fn the_line_is_ended_whenever_the_watch_is() {
        let mut shown = Vec::new();
        let mut progress = Progress::new(Duration::from_secs(1_000), Some(&mut shown));
        progress.show(&[]);
        progress.show(&[]);
        drop(progress);
        let line = "\r0 s of 1000 s, findings so far: 0\x1b[K";
        assert_eq!(String::from_utf8(shown).expect("text"), format!("{line}{line}\n"));
        let mut silent = Vec::new();
        drop(Progress::new(Duration::ZERO, Some(&mut silent)));
        assert!(silent.is_empty());
    }
}
