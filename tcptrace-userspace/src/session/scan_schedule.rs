//! When to scan the host for the detectors.

use std::time::{Duration, Instant};

use tcptrace_core::model::scan::HostScan;

use super::scanner::{ScannerThread, Want};

/// Scans at an interval.
pub(super) struct ScanSchedule {
    period: Duration,
    /// When the last scan was ordered.
    ordered: Instant,
    /// How long the last scan took.
    took: Duration,
}

impl ScanSchedule {
    /// Orders the first scan.
    pub(super) fn start(period: Duration, scanner: &mut ScannerThread) -> Self {
        scanner.want(Want::Scan);
        Self { period, ordered: Instant::now(), took: Duration::ZERO }
    }

    /// A completed scan. Orders the next one when it is due.
    pub(super) fn next(&mut self, scanner: &mut ScannerThread) -> Option<HostScan> {
        let scan = scanner.take_scanned();
        if let Some(scan) = &scan {
            self.took = Duration::from_nanos(scan.end_ns.saturating_sub(scan.start_ns));
        }
        // However many sockets there are, scans take half of the time at most.
        let is_due = self.ordered.elapsed() >= self.period.max(self.took * 2);
        if is_due && scanner.want(Want::Scan) {
            self.ordered = Instant::now();
        }
        scan
    }

    /// Waits for the scan that is under way, if any.
    pub(super) fn pending(scanner: &mut ScannerThread) -> Option<HostScan> {
        if scanner.scanned.is_busy() { wait(scanner) } else { None }
    }

    /// Scans once more, after [`Self::pending`].
    pub(super) fn last(scanner: &mut ScannerThread) -> Option<HostScan> {
        scanner.want(Want::Scan);
        wait(scanner)
    }
}

fn wait(scanner: &mut ScannerThread) -> Option<HostScan> {
    scanner.send();
    loop {
        if let Some(scan) = scanner.take_scanned() {
            return Some(scan);
        }
        if scanner.is_gone() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
