//! The end of a trace: it reads the rest of the ring, and settles the account.

use std::time::Duration;

use tcptrace_core::{
    model::{
        input::{Counted, Ended, Input},
        record::Record,
        scan::HostScan,
    },
    pipeline::Written,
};

use super::{
    super::{
        Error, Outcome, namespaces::Namespaces, polls::Polls, scan_schedule::ScanSchedule, writer::Offer,
    },
    HostQueries, Reader,
};
use crate::sys::{clock::monotonic_ns, stall_timeout::StallTimeout};

impl Reader {
    /// Ends the trace: detach, scan the host for the last time, take what is left in the ring, wait for the writer,
    /// settle the account.
    pub(in crate::session) fn finish(mut self, start_ns: u64, grace: Duration) -> Result<Outcome, Error> {
        let mut stall_timeout = StallTimeout::new(grace);
        self.tracer.detach();
        let end_ns = monotonic_ns();
        // A trace may be shorter than the dump.
        while self.waits_for_dump() && !stall_timeout.is_over(self.writer.written()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let last = self.scan_for_the_last_time();
        let counted = self.read_rest(&mut stall_timeout)?;
        // Where the output has stalled, records before these scans still wait: they are counted as lost.
        if self.entrance.core.is_drained() {
            for scan in last {
                self.entrance.feed(Input::Scanned(Box::new(scan)));
            }
        }
        let ended = self.ended(end_ns, counted);
        let mut summary = self.entrance.core.finish(start_ns, &ended);
        let recording = self.entrance.log.end(&ended);
        self.entrance.core.out().put(&Record::Summary(Box::new(summary.clone())));
        while self.offer() == Offer::Full && !stall_timeout.is_over(self.writer.written()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (written, output) = self.writer.finish(&mut stall_timeout);
        self.entrance.core.settle(&mut summary, &ended, written);
        let subscribers = self.entrance.core.out().subscribers.accounts();
        let detection = self.entrance.core.into_detection();
        Ok(Outcome { summary, detection, subscribers, output, recording, damage: None })
    }

    /// Takes the scan that is under way, and makes the last one. Returns those that are to be taken later.
    fn scan_for_the_last_time(&mut self) -> Vec<HostScan> {
        let mut later = Vec::new();
        let HostQueries { scanner: Some(scanner), scans: Some(_), .. } = &mut self.queries else {
            return later;
        };
        if let Some(scan) = ScanSchedule::pending(scanner) {
            // A scan of a host with many sockets is large: memory should not hold two of them.
            if self.entrance.core.is_drained() && self.entrance.log.has_room() {
                self.entrance.feed(Input::Scanned(Box::new(scan)));
            } else {
                later.push(scan);
            }
        }
        later.extend(ScanSchedule::last(scanner));
        later
    }

    fn ended(&mut self, end_ns: u64, counted: Counted) -> Ended {
        let submitted = Some(counted.counters.delivered);
        Ended {
            end_ns,
            counted,
            submitted,
            missed_runs: self.tracer.missed_runs(),
            missed_signals: self.tracer.missed_signals(),
            half_open_missed: self.tracer.half_open_missed_runs(),
            // Read on this thread, since the scanner may be busy for long.
            namespaces: self.queries.namespaces.as_ref().map(Namespaces::grown_by_now).unwrap_or_default(),
            unpolled: self.queries.polls.as_mut().and_then(Polls::failed),
            snapshot_gaps: self
                .queries
                .dumps
                .as_ref()
                .and_then(|dumps| dumps.snapshot_gaps().map(str::to_owned)),
        }
    }

    /// Takes the rest of the ring, and waits for the writer while `stall_timeout` lasts. A program that was running on
    /// another CPU at the detach may still add its record, so it goes on until every counted record is read.
    fn read_rest(&mut self, stall_timeout: &mut StallTimeout<Written>) -> Result<Counted, Error> {
        loop {
            let before = self.entrance.core.taken();
            if self.entrance.core.is_drained() && self.entrance.log.has_room() && self.gather() {
                // Records wait for answers, for a moment.
                if self.ask().is_none() {
                    self.entrance.feed(Input::Released(u64::MAX));
                }
            }
            self.entrance.core.fill_on();
            self.entrance.settle();
            self.tracer.flush_log();
            let gone = !self.entrance.log.check()
                || (self.entrance.core.out().is_full() && self.offer() == Offer::Gone);
            let counted = self.counted()?;
            let core = &self.entrance.core;
            let complete = core.is_drained() && core.waiting() == 0 && core.has_all(&counted);
            if complete || gone || stall_timeout.is_over(self.writer.written()) {
                return Ok(counted);
            }
            if self.entrance.core.taken() == before {
                // Waits for the writer or the recorder, or for a program on another CPU.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
