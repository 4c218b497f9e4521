//! When to scan the host for the detectors.

use std::time::{Duration, Instant};

use tcptrace_core::model::scan::Looked;

use super::scanner::{ScannerThread, Want};
use crate::sys::clock::monotonic_ns;

/// Scans at an interval.
pub(super) struct Looks {
    period: Duration,
    /// When the last one was ordered.
    ordered: Option<Instant>,
    /// How long it took.
    took: Duration,
}

impl Looks {
    /// The first one is due at once.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, ordered: None, took: Duration::ZERO }
    }

    /// A scan that was completed; orders the next one when it is due.
    pub(super) fn next(&mut self, scanner: &mut ScannerThread) -> Option<Looked> {
        let looked = scanner.take_scanned();
        if let (Some(ordered), Some(_)) = (self.ordered, &looked) {
            self.took = ordered.elapsed();
        }
        // However many sockets there are, scans take half of the time at most.
        let is_due = |ordered: Instant| ordered.elapsed() >= self.period.max(self.took * 2);
        if self.ordered.is_none_or(is_due) && scanner.want(Want::Scan) {
            self.ordered = Some(Instant::now());
        }
        looked
    }

    /// Scans once more; all that was not taken yet.
    pub(super) fn finish(scanner: &mut ScannerThread) -> Vec<Looked> {
        let mut all = Vec::new();
        if scanner.scanned.is_busy() {
            all.extend(wait(scanner));
        }
        scanner.want(Want::Scan);
        all.extend(wait(scanner));
        all
    }
}

fn wait(scanner: &mut ScannerThread) -> Option<Looked> {
    loop {
        if let Some(looked) = scanner.take_scanned() {
            return Some(looked);
        }
        if scanner.is_gone() {
            let now_ns = monotonic_ns();
            let look = Err("the scanner panicked".to_owned());
            return Some(Looked {
                start_ns: now_ns,
                end_ns: now_ns,
                look,
                namespaces: Vec::new(),
                processes: Vec::new(),
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
