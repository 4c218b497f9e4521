//! When to poll for half-open connections.

use tcptrace_core::model::half_open::Poll;

use super::scanner::{ScannerThread, Want};
use crate::{bpf::Tracer, sys::clock::monotonic_ns};

/// Interval between two polls, nanoseconds.
const POLL_EVERY_NS: u64 = 1_000_000_000;

/// State of the polls: when the last one was requested, and its outcome.
pub(super) struct Polls {
    /// Poll also when none is open: not every SYN is seen.
    always: bool,
    asked_ns: Option<u64>,
    /// A poll that waits until the events up to its end are released.
    early: Option<Poll>,
    failed: Option<String>,
}

impl Polls {
    /// No poll requested yet.
    pub(super) fn new(tracer: &Tracer) -> Self {
        let sees_all = tracer.half_open().and_then(|hooks| hooks.syns.as_ref().ok());
        Self {
            always: sees_all.is_none_or(|syns| !syns.whole_host),
            asked_ns: None,
            early: None,
            failed: None,
        }
    }

    /// A poll, once every event up to its end has been released.
    pub(super) fn next(&mut self, scanner: &mut ScannerThread, released_ns: u64) -> Option<Poll> {
        match scanner.take_polled() {
            Some(Ok((poll, gaps))) => {
                self.early = Some(poll);
                self.failed = gaps.or_else(|| self.failed.take());
            }
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
        self.early.take_if(|poll| poll.end_ns <= released_ns)
    }

    /// Requests a poll when it is due. `open` is the number of known half-open connections. Returns whether it did.
    pub(super) fn ask(&mut self, scanner: &mut ScannerThread, open: usize) -> bool {
        let now_ns = monotonic_ns();
        if self.early.is_some() || self.asked_ns.is_some_and(|asked_ns| now_ns < asked_ns + POLL_EVERY_NS) {
            return false;
        }
        // The first poll finds pre-existing half-open connections.
        let is_due = self.asked_ns.is_none() || self.always || open > 0;
        let asks = is_due && scanner.want(Want::Poll);
        if asks {
            self.asked_ns = Some(now_ns);
        }
        asks
    }

    /// The reason why a poll failed or has gaps.
    pub(super) fn failed(&mut self) -> Option<String> {
        self.failed.take()
    }
}
